#include "health.h"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <etcdpp/mvcc/range_reader.h>

#include "../errc.h"

namespace etcdpp::server {

namespace {

constexpr unsigned kUnavailable = 503;

/// Why a local read is impossible; empty: it is not.
std::string read_failure(Member& member) {
  const auto reader = mvcc::RangeReader::open(member.views());
  return reader ? std::string() : reader.error().message();
}

/// Runs `then` in the exchange's thread with what stands against a linearizable read; empty: nothing.
void read_linearizable(Member& member, net::Executor& home, std::move_only_function<void(std::string failure)> then) {
  member.read_indexer().request(
      [&member, then = std::move(then)](base::Result<> confirmed) mutable {
        then(confirmed ? read_failure(member) : confirmed.error().message());
      },
      home, member.clock().now() + member.config().request_timeout());
}

// /health.

void answer_health(Member& member, net::HttpExchange& exchange, const std::string& reason) {
  const bool healthy = reason.empty();
  (healthy ? member.metrics().health_successes : member.metrics().health_failures).add();
  const std::string document = fmt::format(R"({{"health":"{}","reason":"{}"}})", healthy ? "true" : "false", reason);
  if (healthy) return exchange.respond({200, {{"Content-Type", "text/plain; charset=utf-8"}}, document});
  member.logger().warn("/health error", {{"output", document}, {"status-code", kUnavailable}});
  exchange.respond(net::HttpResponse::text(kUnavailable, document + "\n"));
}

void health(Member& member, net::HttpExchangePtr exchange) {
  const net::HttpRequest& request = exchange->request();
  if (request.method != "GET") {
    member.logger().warn("/health error", {{"status-code", 405}});
    return exchange->respond(method_not_allowed());
  }
  const auto excluded = request.query_values("exclude");
  const auto serializable = request.query_values("serializable");
  const bool local = !serializable.empty() && serializable.front() == "true";
  for (const Alarm& alarm : member.facts()->alarms.active()) {
    if (std::ranges::find(excluded, alarm_name(alarm.kind)) != excluded.end()) continue;
    member.logger().warn("serving /health false due to an alarm",
                         {{"alarm", fmt::format("memberID:{} alarm:{}", alarm.member_id, alarm_name(alarm.kind))}});
    return answer_health(member, *exchange, fmt::format("ALARM {}", alarm_name(alarm.kind)));
  }
  const auto finish = [&member](net::HttpExchange& to, const std::string& failure) {
    if (!failure.empty()) member.logger().warn("serving /health false; Range fails", {{"error", failure}});
    answer_health(member, to, failure.empty() ? std::string() : "RANGE ERROR:" + failure);
  };
  if (local) return finish(*exchange, read_failure(member));
  if (!member.state().has_leader()) {
    member.logger().warn("serving /health false; no leader");
    return answer_health(member, *exchange, "RAFT NO LEADER");
  }
  net::Executor& home = exchange->executor();
  read_linearizable(member, home, [finish, exchange = std::move(exchange)](const std::string& failure) { finish(*exchange, failure); });
}

// /livez and /readyz.

constexpr std::string_view kLinearizableRead = "linearizable_read";
constexpr std::string_view kDatabaseCommit = "database_commit";
constexpr std::array<std::string_view, 1> kLivez{"serializable_read"};
constexpr std::array<std::string_view, 5> kReadyz{"data_corruption", "serializable_read", kLinearizableRead, "non_learner",
                                                  kDatabaseCommit};

/// A check that is answered at once; empty: good.
std::string failure_of(std::string_view check, Member& member) {
  if (check == "data_corruption") return member.facts()->alarms.any(AlarmKind::kCorrupt) ? "alarm activated: CORRUPT" : "";
  if (check == "serializable_read") return read_failure(member);
  if (check == "non_learner") {
    const auto facts = member.facts();
    const MemberRecord* self = facts->membership.find(member.state().member_id);
    return self && self->is_learner ? "not supported for learner" : "";
  }
  const base::Duration waiting = member.uncommitted_for();
  if (waiting < Member::kLateCommit) return {};
  return fmt::format("changes wait for their commit to {} since {}", member.backend().database()->path(), config::go_duration(waiting));
}

/// The outcomes of one request, in the order of the checks.
struct Report {
  std::string_view type;
  std::string text;
  bool failed = false;

  void add(Member& member, std::string_view check, const std::string& failure) {
    if (check == kDatabaseCommit && failure.empty()) return;
    member.metrics().health_checks.count(type, check, failure.empty());
    failed |= !failure.empty();
    text += failure.empty() ? fmt::format("[+]{} ok\n", check) : fmt::format("[-]{} failed: {}\n", check, failure);
  }

  void answer(Member& member, net::HttpExchange& exchange) {
    const net::HttpRequest& request = exchange.request();
    if (failed) {
      member.logger().error("Health check error", {{"path", request.path}, {"reason", text}, {"status-code", kUnavailable}});
      return exchange.respond(net::HttpResponse::text(kUnavailable, text + "\n"));
    }
    exchange.respond(net::HttpResponse::text(200, request.query_values("verbose").empty() ? "ok\n" : text + "ok\n"));
  }
};

void run_checks(Member& member, net::HttpExchangePtr exchange, std::string_view type, std::span<const std::string_view> checks) {
  Report report{type, {}, false};
  for (std::size_t i = 0; i < checks.size(); ++i) {
    if (checks[i] != kLinearizableRead) {
      report.add(member, checks[i], failure_of(checks[i], member));
      continue;
    }
    std::vector<std::string_view> rest(checks.begin() + static_cast<std::ptrdiff_t>(i) + 1, checks.end());
    net::Executor& home = exchange->executor();
    return read_linearizable(member, home,
                             [&member, exchange = std::move(exchange), report = std::move(report),
                              rest = std::move(rest)](const std::string& failure) mutable {
                               report.add(member, kLinearizableRead, failure);
                               for (const std::string_view check : rest) report.add(member, check, failure_of(check, member));
                               report.answer(member, *exchange);
                             });
  }
  report.answer(member, *exchange);
}

bool allowed(Member& member, net::HttpExchange& exchange) {
  const net::HttpRequest& request = exchange.request();
  if (request.method == "GET") return true;
  member.logger().warn("Health request error", {{"path", request.path}, {"status-code", 405}});
  exchange.respond(method_not_allowed());
  return false;
}

/// All checks of a path but those that the query excludes; what it cannot exclude is only logged.
void run_all(Member& member, net::HttpExchangePtr exchange, std::string_view type, std::span<const std::string_view> checks) {
  if (!allowed(member, *exchange)) return;
  std::vector<std::string> excluded = exchange->request().query_values("exclude");
  std::erase(excluded, "");
  std::vector<std::string_view> run;
  for (const std::string_view check : checks)
    if (std::erase(excluded, check) == 0) run.push_back(check);
  if (!excluded.empty()) {
    std::ranges::sort(excluded);
    excluded.erase(std::ranges::unique(excluded).begin(), excluded.end());
    std::string names;
    for (const std::string& name : excluded) names += fmt::format("{}\"{}\"", names.empty() ? "" : ",", name);
    member.logger().warn("some health checks cannot be excluded", {{"missing-health-checks", names}});
  }
  run_checks(member, std::move(exchange), type, run);
}

template <std::size_t N>
void add_checks(net::HttpServer& server, Member& member, std::string_view type, const std::array<std::string_view, N>& checks) {
  const std::string root = "/" + std::string(type);
  server.handle(root, [&member, type, &checks](net::HttpExchangePtr exchange) { run_all(member, std::move(exchange), type, checks); });
  for (const std::string_view& check : checks)
    server.handle(root + "/" + std::string(check), [&member, type, &check](net::HttpExchangePtr exchange) {
      if (allowed(member, *exchange)) run_checks(member, std::move(exchange), type, std::span(&check, 1));
    });
}

}  // namespace

net::HttpResponse method_not_allowed() {
  net::HttpResponse response = net::HttpResponse::text(405, "Method Not Allowed\n");
  response.headers.emplace_back("Allow", "GET");
  return response;
}

void add_health_endpoints(net::HttpServer& server, Member& member) {
  server.handle("/health", [&member](net::HttpExchangePtr exchange) { health(member, std::move(exchange)); });
  add_checks(server, member, "livez", kLivez);
  add_checks(server, member, "readyz", kReadyz);
}

}  // namespace etcdpp::server
