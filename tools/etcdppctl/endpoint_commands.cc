#include <ostream>
#include <thread>

#include "command.h"
#include "session.h"

namespace etcdpp::ctl {
namespace {

namespace pb = etcdserverpb;

/// Healthy is a member that can read by consensus and raises no alarm. A refused read had consensus too.
EndpointHealth ask_health(const std::string& endpoint, client::Client& client, const client::CallOptions& how) {
  EndpointHealth health{.endpoint = endpoint, .healthy = false, .took = {}, .error = {}};
  const auto started = std::chrono::steady_clock::now();
  pb::RangeRequest request;
  request.set_key("health");
  auto read = client.range(request, how);
  health.took = std::chrono::steady_clock::now() - started;
  if (!read && read.error().code != client::StatusCode::kPermissionDenied) {
    health.error = client::description(read.error());
    return health;
  }
  health.healthy = true;
  pb::AlarmRequest list;
  list.set_action(pb::AlarmRequest::GET);
  auto alarms = client.alarm(list, how);
  if (!alarms) {
    health.healthy = false;
    health.error = "Unable to fetch the alarm list";
  } else if (!alarms->alarms().empty()) {
    health.healthy = false;
    health.error = "Active Alarm(s): ";
    for (const auto& alarm : alarms->alarms()) health.error += std::string(alarm_name(alarm.alarm())) + " ";
  }
  return health;
}

Outcome<> run_health(Session& session) {
  auto endpoints = session.asked_endpoints();
  if (!endpoints) return std::unexpected(endpoints.error());
  std::vector<std::unique_ptr<client::Client>> clients;
  for (const auto& endpoint : *endpoints) {
    auto client = session.client_of(endpoint);
    if (!client) return std::unexpected(client.error());
    clients.push_back(std::move(*client));
  }
  std::vector<EndpointHealth> results(endpoints->size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < endpoints->size(); ++i)
      threads.emplace_back([&, i] { results[i] = ask_health((*endpoints)[i], *clients[i], session.short_call()); });
  }
  if (auto printed = session.printer->health(results); !printed) return printed;
  for (const auto& result : results)
    if (!result.healthy) return fail(kError, "unhealthy cluster");
  return {};
}

Outcome<> run_status(Session& session) {
  auto endpoints = session.asked_endpoints();
  if (!endpoints) return std::unexpected(endpoints.error());
  std::vector<EndpointStatus> results;
  bool all_answered = true;
  for (const auto& endpoint : *endpoints) {
    auto client = session.client_of(endpoint);
    if (!client) return std::unexpected(client.error());
    auto status = (*client)->status({}, session.short_call());
    if (!status) {
      all_answered = false;
      session.io.err << "Failed to get the status of endpoint " << endpoint << " ("
                     << client::description(status.error()) << ")\n";
      continue;
    }
    results.push_back({endpoint, std::move(*status)});
  }
  if (auto printed = session.printer->status(results); !printed) return printed;
  if (!all_answered) return fail(kError, "");
  return {};
}

Outcome<> run_hash_kv(Session& session) {
  auto endpoints = session.asked_endpoints();
  if (!endpoints) return std::unexpected(endpoints.error());
  pb::HashKVRequest request;
  request.set_revision(session.flags.integer("rev"));
  std::vector<EndpointHashKv> results;
  Outcome<> outcome;
  for (const auto& endpoint : *endpoints) {
    auto client = session.client_of(endpoint);
    if (!client) return std::unexpected(client.error());
    auto hash = (*client)->hash_kv(request, session.short_call());
    if (!hash) {
      session.io.err << "Failed to get the hash of endpoint " << endpoint << " (" << client::description(hash.error())
                     << ")\n";
      outcome = failed(hash.error());
      continue;
    }
    results.push_back({endpoint, std::move(*hash)});
  }
  if (auto printed = session.printer->hash_kv(results); !printed) return printed;
  return outcome;
}

}  // namespace

Command endpoint_commands() {
  return {
      .name = "endpoint",
      .group = "Cluster maintenance commands",
      .summary = "Asks each endpoint for its health, status and hash",
      .flags = {},
      .run = {},
      .children = {{.name = "hashkv",
                    .group = nullptr,
                    .summary = "Shows the hash of each endpoint's key space, which is equal on all members",
                    .examples = "$ etcdppctl endpoint hashkv --cluster -w table",
                    .flags = {{"rev", 0, FlagKind::kInt, "0", "hash up to this revision (0: the newest)"}},
                    .run = run_hash_kv,
                    .children = {},
                    .group_flags = {}},
                   {.name = "health",
                    .group = nullptr,
                    .summary = "Shows whether each endpoint can serve",
                    .examples = "$ etcdppctl endpoint health\n$ etcdppctl endpoint health --cluster -w json",
                    .flags = {},
                    .run = run_health,
                    .children = {},
                    .group_flags = {}},
                   {.name = "status",
                    .group = nullptr,
                    .summary = "Shows version, database size, leader and raft position of each endpoint",
                    .examples = "$ etcdppctl endpoint status -w table\n$ etcdppctl endpoint status --cluster -w json",
                    .flags = {},
                    .run = run_status,
                    .children = {},
                    .group_flags = {}}},
      .group_flags = {{"cluster", 0, FlagKind::kBool, "false", "ask the endpoints that the members advertise"}}};
}

}  // namespace etcdpp::ctl
