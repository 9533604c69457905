#pragma once

#include <etcdpp/net/http1.h>

#include "../member.h"

namespace etcdpp::server {

/// Plain HTTP on the client port: /version and /health (docs/COMPATIBILITY.md).
void add_endpoints(net::HttpServer& server, Member& member);

}  // namespace etcdpp::server
