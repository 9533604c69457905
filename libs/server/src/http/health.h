#pragma once

#include <etcdpp/net/http1.h>

#include "../member.h"

namespace etcdpp::server {

/// /health, /livez and /readyz with a path for each check, in etcd's texts. A check that etcd does not have,
/// `database_commit`, is named by /readyz only while it fails. The member outlives the server.
void add_health_endpoints(net::HttpServer& server, Member& member);

/// etcd's answer to a method other than GET.
net::HttpResponse method_not_allowed();

}  // namespace etcdpp::server
