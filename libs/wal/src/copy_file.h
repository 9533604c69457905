#pragma once

#include <string>

#include <etcdpp/base/env.h>

namespace etcdpp::wal {

/// Copies a file as it is, with holes where it has zeros, and syncs the copy; an older copy of that name is replaced.
base::Result<> copy_file(base::Env& env, base::File& from, const std::string& to);

}  // namespace etcdpp::wal
