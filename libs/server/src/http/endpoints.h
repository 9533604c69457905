#pragma once

#include <etcdpp/net/http1.h>

#include "../member.h"
#include "../metrics/metrics_page.h"
#include "../reader_pool.h"

namespace etcdpp::server {

/// Plain HTTP on the client port: /version, /metrics and the health checks (docs/COMPATIBILITY.md). Everything outlives the server.
void add_endpoints(net::HttpServer& server, Member& member, const MetricsPage& metrics, ReaderPool& readers);
/// What the ports of --listen-metrics-urls answer: /metrics and the health checks.
void add_monitoring_endpoints(net::HttpServer& server, Member& member, const MetricsPage& metrics, ReaderPool& readers);

}  // namespace etcdpp::server
