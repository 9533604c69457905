#include "command.h"
#include "go_text.h"
#include "session.h"

namespace etcdpp::ctl {
namespace {

Outcome<> run_list(Session& session) {
  const std::string& consistency = session.flags.text("consistency");
  if (consistency != "l" && consistency != "s")
    return fail(kBadFeature, "unknown consistency flag " + go_quote(consistency));
  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  etcdserverpb::MemberListRequest request;
  request.set_linearizable(consistency == "l");
  auto response = (*client)->member_list(request, session.short_call());
  if (!response) return failed(response.error());
  return session.printer->member_list(*response);
}

}  // namespace

Command member_commands() {
  return {.name = "member",
          .group = "Cluster maintenance commands",
          .summary = "Shows the members of the cluster",
          .flags = {},
          .run = {},
          .children = {{.name = "list",
                        .group = nullptr,
                        .summary = "Lists the members with their ids and addresses",
                        .examples = "$ etcdppctl member list -w table",
                        .flags = {{"consistency", 0, FlagKind::kText, "l",
                                   "l: what the cluster agreed on now; s: what the asked member has"}},
                        .run = run_list,
                        .children = {},
                        .group_flags = {}}},
          .group_flags = {}};
}

}  // namespace etcdpp::ctl
