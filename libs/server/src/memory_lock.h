#pragma once

#include <etcdpp/base/result.h>

namespace etcdpp::server {

/// --memory-mlock: from now on nothing that this process has in RAM leaves it for swap or, where it is of a file, to be
/// read again: the database's pages stay once they were touched. Before the database is opened; the kernel applies it to
/// every later map too. Refused where the limit of locked memory would leave no room for a database.
base::Result<> lock_memory();

}  // namespace etcdpp::server
