#pragma once

#include <etcdpp/net/grpc_server.h>

#include "../member.h"
#include "../metrics/client_versions.h"

namespace etcdpp::server {

/// What is asked of every call before its service, from its metadata: `hasleader`, `client-api-version` (which `versions` counts).
void add_interceptors(net::GrpcServer& server, const Member& member, ClientVersions& versions);

/// Whether bytes are UTF-8 as Go judges it (no surrogates, no overlong forms).
bool is_utf8(std::string_view text);

}  // namespace etcdpp::server
