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

void answer_health(net::HttpExchange& exchange, std::string_view reason) {
  const bool healthy = reason.empty();
  exchange.respond(net::HttpResponse::json(healthy ? 200 : 503, fmt::format(R"({{"health":"{}","reason":"{}"}})",
                                                                           healthy ? "true" : "false", reason)));
}

std::string_view alarm_name(AlarmKind kind) {
  switch (kind) {
    case AlarmKind::kNoSpace: return "NOSPACE";
    case AlarmKind::kCorrupt: return "CORRUPT";
    default: return "UNKNOWN";
  }
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
      return answer_health(*exchange, fmt::format("ALARM {}", alarm_name(alarm.kind)));
  if (local) return answer_health(*exchange, read_probe(member));
  if (!member.state().has_leader()) return answer_health(*exchange, "RAFT NO LEADER");
  net::Executor& home = exchange->executor();
  member.read_indexer().request(
      [&member, exchange = std::move(exchange)](base::Result<> confirmed) mutable {
        answer_health(*exchange, confirmed ? read_probe(member) : "RANGE ERROR:" + confirmed.error().message());
      },
      home, member.clock().now() + member.config().request_timeout());
}

}  // namespace

void add_endpoints(net::HttpServer& server, Member& member) {
  server.handle("/version", [&member](net::HttpExchangePtr exchange) { version(member, std::move(exchange)); });
  server.handle("/health", [&member](net::HttpExchangePtr exchange) { health(member, std::move(exchange)); });
}

}  // namespace etcdpp::server
