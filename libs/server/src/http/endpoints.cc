#include "endpoints.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include <etcdpp/mvcc/range_reader.h>

#include "../errc.h"

namespace etcdpp::server {

namespace {

void version(Member& member, net::HttpExchangePtr exchange) {
  if (exchange->request().method != "GET") return exchange->respond(net::HttpResponse::text(405, "Method Not Allowed\n"));
  const auto facts = member.facts();
  const std::string& cluster = facts->membership.cluster_version();
  exchange->respond(net::HttpResponse::json(
      200, fmt::format(R"({{"etcdserver":"{}","etcdcluster":"{}","storage":"{}"}})", config::kEtcdVersion,
                       cluster.empty() ? "not_decided" : cluster, facts->storage_version.empty() ? "unknown" : facts->storage_version)));
}

void answer_health(Member& member, net::HttpExchange& exchange, std::string_view reason) {
  const bool healthy = reason.empty();
  (healthy ? member.metrics().health_successes : member.metrics().health_failures).add();
  exchange.respond(net::HttpResponse::json(healthy ? 200 : 503, fmt::format(R"({{"health":"{}","reason":"{}"}})",
                                                                           healthy ? "true" : "false", reason)));
}

std::string read_probe(Member& member) {
  const auto reader = mvcc::RangeReader::open(member.views());
  if (!reader) return "RANGE ERROR:" + reader.error().message();
  return {};
}

void health(Member& member, net::HttpExchangePtr exchange) {
  const net::HttpRequest& request = exchange->request();
  if (request.method != "GET") return exchange->respond(net::HttpResponse::text(405, "Method Not Allowed\n"));
  const auto excluded = request.query_values("exclude");
  const auto serializable = request.query_values("serializable");
  const bool local = !serializable.empty() && serializable.front() == "true";
  for (const Alarm& alarm : member.facts()->alarms.active())
    if (std::ranges::find(excluded, alarm_name(alarm.kind)) == excluded.end())
      return answer_health(member, *exchange, fmt::format("ALARM {}", alarm_name(alarm.kind)));
  if (local) return answer_health(member, *exchange, read_probe(member));
  if (!member.state().has_leader()) return answer_health(member, *exchange, "RAFT NO LEADER");
  net::Executor& home = exchange->executor();
  member.read_indexer().request(
      [&member, exchange = std::move(exchange)](base::Result<> confirmed) mutable {
        answer_health(member, *exchange, confirmed ? read_probe(member) : "RANGE ERROR:" + confirmed.error().message());
      },
      home, member.clock().now() + member.config().request_timeout());
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
  server.handle("/health", [&member](net::HttpExchangePtr exchange) { health(member, std::move(exchange)); });
  server.handle("/metrics", [&page, &readers](net::HttpExchangePtr exchange) { metrics(page, readers, std::move(exchange)); });
}

void add_endpoints(net::HttpServer& server, Member& member, const MetricsPage& page, ReaderPool& readers) {
  add_monitoring_endpoints(server, member, page, readers);
  server.handle("/version", [&member](net::HttpExchangePtr exchange) { version(member, std::move(exchange)); });
}

}  // namespace etcdpp::server
