#pragma once

#include <etcdpp/base/result.h>
#include <etcdpp/net/status.h>

namespace etcdpp::server {

/// The gRPC status that a client gets for an error: etcd's code and etcd's text, since clients match on both. What is not
/// in the table is UNKNOWN with its own text.
net::Status status_of(const base::Error& error);

}  // namespace etcdpp::server
