#include "command.h"
#include "session.h"

namespace etcdpp::ctl {
namespace {

namespace pb = etcdserverpb;

Outcome<> run_list(Session& session) {
  if (!session.arguments().empty()) return fail(kBadArgs, "alarm list command accepts no arguments");
  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  auto response = (*client)->alarm({}, session.short_call());
  if (!response) return failed(response.error());
  return session.printer->alarms(*response);
}

/// Clears every alarm that is raised, and shows which were.
Outcome<> run_disarm(Session& session) {
  if (!session.arguments().empty()) return fail(kBadArgs, "alarm disarm command accepts no arguments");
  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  auto raised = (*client)->alarm({}, session.short_call());
  if (!raised) return failed(raised.error());
  pb::AlarmResponse cleared;
  for (const auto& alarm : raised->alarms()) {
    pb::AlarmRequest request;
    request.set_action(pb::AlarmRequest::DEACTIVATE);
    request.set_memberid(alarm.memberid());
    request.set_alarm(alarm.alarm());
    auto response = (*client)->alarm(request, session.short_call());
    if (!response) return failed(response.error());
    cleared.mutable_alarms()->MergeFrom(response->alarms());
  }
  return session.printer->alarms(cleared);
}

}  // namespace

Command alarm_commands() {
  return {.name = "alarm",
          .group = "Cluster maintenance commands",
          .summary = "Lists and clears alarms",
          .flags = {},
          .run = {},
          .children = {{.name = "disarm",
                        .group = nullptr,
                        .summary = "Clears all alarms",
                        .examples = "$ etcdppctl alarm disarm",
                        .flags = {},
                        .run = run_disarm,
                        .children = {},
                        .group_flags = {}},
                       {.name = "list",
                        .group = nullptr,
                        .summary = "Lists the alarms that are raised",
                        .examples = "$ etcdppctl alarm list",
                        .flags = {},
                        .run = run_list,
                        .children = {},
                        .group_flags = {}}},
          .group_flags = {}};
}

}  // namespace etcdpp::ctl
