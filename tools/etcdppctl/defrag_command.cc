#include <chrono>
#include <ostream>

#include "command.h"
#include "go_text.h"
#include "session.h"

namespace etcdpp::ctl {
namespace {

/// One member after the other, so that the others serve while one works.
Outcome<> run_defrag(Session& session) {
  auto endpoints = session.asked_endpoints();
  if (!endpoints) return std::unexpected(endpoints.error());
  bool all_done = true;
  for (const auto& endpoint : *endpoints) {
    auto client = session.client_of(endpoint);
    if (!client) return std::unexpected(client.error());
    const auto started = std::chrono::steady_clock::now();
    const auto done = (*client)->defragment({}, session.short_call());
    const std::string took = go_duration(std::chrono::steady_clock::now() - started);
    if (done) {
      session.io.out << "Finished defragmenting etcd member[" << endpoint << "]. took " << took << "\n";
      continue;
    }
    all_done = false;
    session.io.err << "Failed to defragment etcd member[" << endpoint << "]. took " << took << ". ("
                   << client::description(done.error()) << ")\n";
  }
  if (!all_done) return fail(kError, "");
  return {};
}

}  // namespace

Command defrag_command() {
  return {.name = "defrag",
          .group = "Cluster maintenance commands",
          .summary = "Gives the space of deleted data back to the file system, member by member",
          .examples = "$ etcdppctl defrag\n$ etcdppctl defrag --cluster --command-timeout 10m",
          .flags = {{"cluster", 0, FlagKind::kBool, "false", "ask the endpoints that the members advertise"}},
          .run = run_defrag,
          .children = {},
          .group_flags = {}};
}

}  // namespace etcdpp::ctl
