#include <ostream>

#include <etcdpp/client/lease_keeper.h>

#include "command.h"
#include "go_text.h"
#include "session.h"

namespace etcdpp::ctl {
namespace {

namespace pb = etcdserverpb;

/// The lease id that is the command's only argument; `needs` is said otherwise.
Outcome<std::int64_t> lease_argument(const Session& session, const char* needs) {
  if (session.arguments().size() != 1) return fail(kBadArgs, needs);
  auto id = parse_int(session.arguments()[0], 16);
  if (!id) return fail(kBadArgs, "bad lease ID arg (" + id.error() + "), expecting ID in Hex");
  return *id;
}

Outcome<> run_grant(Session& session) {
  if (session.arguments().size() != 1) return fail(kBadArgs, "lease grant command needs TTL argument");
  auto ttl = parse_int(session.arguments()[0], 10);
  if (!ttl) return fail(kBadArgs, "bad TTL (" + ttl.error() + ")");
  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  pb::LeaseGrantRequest request;
  request.set_ttl(*ttl);
  auto response = (*client)->lease_grant(request, session.short_call());
  if (!response) return fail(kError, "failed to grant lease (" + client::description(response.error()) + ")");
  return session.printer->grant(*response);
}

Outcome<> run_revoke(Session& session) {
  auto id = lease_argument(session, "lease revoke command needs 1 argument");
  if (!id) return std::unexpected(id.error());
  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  pb::LeaseRevokeRequest request;
  request.set_id(*id);
  auto response = (*client)->lease_revoke(request, session.short_call());
  if (!response) return fail(kError, "failed to revoke lease (" + client::description(response.error()) + ")");
  return session.printer->revoke(*id, *response);
}

Outcome<> run_time_to_live(Session& session) {
  auto id = lease_argument(session, "lease timetolive command needs lease ID as argument");
  if (!id) return std::unexpected(id.error());
  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  pb::LeaseTimeToLiveRequest request;
  request.set_id(*id);
  request.set_keys(session.flags.boolean("keys"));
  auto response = (*client)->lease_time_to_live(request, session.short_call());
  if (!response) return failed(response.error());
  return session.printer->time_to_live(*response, request.keys());
}

Outcome<> run_list(Session& session) {
  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  auto response = (*client)->lease_leases({}, session.short_call());
  if (!response) return failed(response.error());
  return session.printer->leases(*response);
}

Outcome<> keep_alive_once(Session& session, client::Client& client, std::int64_t id) {
  pb::LeaseKeepAliveRequest request;
  request.set_id(id);
  auto response = client.lease_keep_alive_once(request, {.require_leader = true});
  if (!response) return fail(kBadConnection, client::description(response.error()));
  if (response->ttl() <= 0) return fail(kBadConnection, make_error_code(client::Errc::kLeaseExpired).message());
  return session.printer->keep_alive(*response);
}

Outcome<> run_keep_alive(Session& session) {
  auto id = lease_argument(session, "lease keep-alive command needs lease ID as argument");
  if (!id) return std::unexpected(id.error());
  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  if (session.flags.boolean("once")) return keep_alive_once(session, **client, *id);

  client::LeaseKeeper keeper(**client, *id);
  for (;;) {
    auto response = keeper.next();
    if (!response) {
      if (response.error().code != client::Errc::kLeaseExpired)
        return fail(kBadConnection, client::description(response.error()));
      session.io.out << "lease " << hex16(static_cast<std::uint64_t>(*id)) << " expired or revoked.\n";
      return {};
    }
    if (auto printed = session.printer->keep_alive(*response); !printed) return printed;
    session.io.out.flush();
  }
}

}  // namespace

Command lease_commands() {
  return {
      .name = "lease",
      .group = "Key-value commands",
      .summary = "Grants, renews, shows and revokes leases",
      .flags = {},
      .run = {},
      .children =
          {{.name = "grant",
            .group = nullptr,
            .summary = "Makes a lease that lives for so many seconds",
            .arguments = "<ttl>",
            .examples = "$ etcdppctl lease grant 60",
            .flags = {},
            .run = run_grant,
            .children = {},
            .group_flags = {}},
           {.name = "keep-alive",
            .group = nullptr,
            .summary = "Renews a lease until it is gone or this command is stopped",
            .arguments = "[options] <leaseID>",
            .examples =
                "$ etcdppctl lease keep-alive 77e6a204a7224d33\n$ etcdppctl lease keep-alive --once 77e6a204a7224d33",
            .flags = {{"once", 0, FlagKind::kBool, "false", "renew once and end"}},
            .run = run_keep_alive,
            .children = {},
            .group_flags = {}},
           {.name = "list",
            .group = nullptr,
            .summary = "Lists the leases",
            .examples = "$ etcdppctl lease list",
            .flags = {},
            .run = run_list,
            .children = {},
            .group_flags = {}},
           {.name = "revoke",
            .group = nullptr,
            .summary = "Ends a lease and deletes its keys",
            .arguments = "<leaseID>",
            .examples = "$ etcdppctl lease revoke 77e6a204a7224d33",
            .flags = {},
            .run = run_revoke,
            .children = {},
            .group_flags = {}},
           {.name = "timetolive",
            .group = nullptr,
            .summary = "Shows how long a lease has to live",
            .arguments = "<leaseID> [options]",
            .examples = "$ etcdppctl lease timetolive 77e6a204a7224d33 --keys",
            .flags = {{"keys", 0, FlagKind::kBool, "false", "show the attached keys too"}},
            .run = run_time_to_live,
            .children = {},
            .group_flags = {}}},
      .group_flags = {}};
}

}  // namespace etcdpp::ctl
