#include "endpoints.h"

#include <fmt/format.h>

#include "health.h"

namespace etcdpp::server {

namespace {

void version(Member& member, net::HttpExchangePtr exchange) {
  if (exchange->request().method != "GET") return exchange->respond(method_not_allowed());
  const auto facts = member.facts();
  const std::string& cluster = facts->membership.cluster_version();
  exchange->respond(net::HttpResponse::json(
      200, fmt::format(R"({{"etcdserver":"{}","etcdcluster":"{}","storage":"{}"}})", config::kEtcdVersion,
                       cluster.empty() ? "not_decided" : cluster, facts->storage_version.empty() ? "unknown" : facts->storage_version)));
}

void metrics(const MetricsPage& page, ReaderPool& readers, net::HttpExchangePtr exchange) {
  // Too many long reads waiting: the exchange is let go, which answers 500.
  static_cast<void>(readers.run([&page, exchange = std::move(exchange)]() mutable {
    net::HttpResponse response{200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"}}, page.text()};
    net::Executor& home = exchange->executor();
    home.post([exchange = std::move(exchange), response = std::move(response)]() mutable { exchange->respond(std::move(response)); });
  }));
}

}  // namespace

void add_monitoring_endpoints(net::HttpServer& server, Member& member, const MetricsPage& page, ReaderPool& readers) {
  add_health_endpoints(server, member);
  server.handle("/metrics", [&page, &readers](net::HttpExchangePtr exchange) { metrics(page, readers, std::move(exchange)); });
}

void add_endpoints(net::HttpServer& server, Member& member, const MetricsPage& page, ReaderPool& readers) {
  add_monitoring_endpoints(server, member, page, readers);
  server.handle("/version", [&member](net::HttpExchangePtr exchange) { version(member, std::move(exchange)); });
}

}  // namespace etcdpp::server
