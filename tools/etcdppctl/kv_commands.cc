#include <ostream>

#include "command.h"
#include "go_text.h"
#include "kv_requests.h"
#include "session.h"

namespace etcdpp::ctl {
namespace {

namespace pb = etcdserverpb;

constexpr const char* kGroup = "Key-value commands";

Outcome<> run_put(Session& session) {
  auto request = put_request(session.flags, session.io.in);
  if (!request) return std::unexpected(request.error());
  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  auto response = (*client)->put(*request, session.short_call());
  if (!response) return failed(response.error());
  return session.printer->put(*response);
}

/// The chunks of a RangeStream as one response; header, count and more are those of the last.
base::Result<pb::RangeResponse> collect_stream(client::Client& client, const pb::RangeRequest& request,
                                               client::CallOptions how) {
  pb::RangeResponse whole;
  auto done = client.range_stream(
      request,
      [&](const pb::RangeResponse& chunk) {
        for (const auto& kv : chunk.kvs()) *whole.add_kvs() = kv;
        if (chunk.has_header()) *whole.mutable_header() = chunk.header();
        whole.set_more(chunk.more());
        whole.set_count(chunk.count());
      },
      how);
  if (!done) return done.error();
  return whole;
}

Outcome<> run_get(Session& session) {
  const Flags& flags = session.flags;
  auto request = range_request(flags);
  if (!request) return std::unexpected(request.error());
  const std::string_view format = session.printer->name();
  if (flags.boolean("count-only") && format != "fields")
    return fail(kBadArgs, "--count-only is only for `--write-out=fields`");
  if (flags.boolean("print-value-only") && format != "simple")
    return fail(kBadArgs, "print-value-only is only for `--write-out=simple`");

  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  auto response = flags.boolean("stream") ? collect_stream(**client, *request, session.short_call())
                                          : (*client)->range(*request, session.short_call());
  if (!response) return failed(response.error());
  return session.printer->range(*response,
                                flags.boolean("print-value-only") ? RangeView::kValuesOnly : RangeView::kPairs);
}

Outcome<> run_del(Session& session) {
  auto request = delete_request(session.flags, session.io.err);
  if (!request) return std::unexpected(request.error());
  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  auto response = (*client)->delete_range(*request, session.short_call());
  if (!response) return failed(response.error());
  return session.printer->delete_range(*response);
}

Outcome<> run_compaction(Session& session) {
  if (session.arguments().size() != 1) return fail(kBadArgs, "compaction command needs 1 argument");
  auto revision = parse_int(session.arguments()[0], 10);
  if (!revision) return fail(kError, revision.error());
  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  pb::CompactionRequest request;
  request.set_revision(*revision);
  request.set_physical(session.flags.boolean("physical"));
  auto response = (*client)->compact(request, session.short_call());
  if (!response) return failed(response.error());
  session.io.out << "compacted revision " << *revision << '\n';
  return {};
}

}  // namespace

std::vector<FlagSpec> get_flags() {
  using enum FlagKind;
  return {{"consistency", 0, kText, "l", "l: what the cluster agreed on now; s: what the asked member has"},
          {"order", 0, kText, "", "ASCEND or DESCEND"},
          {"sort-by", 0, kText, "", "CREATE, KEY, MODIFY, VALUE or VERSION"},
          {"limit", 0, kInt, "0", "at most so many keys"},
          {"prefix", 0, kBool, "false", "all keys that begin with the key"},
          {"from-key", 0, kBool, "false", "all keys from the key on, in byte order"},
          {"rev", 0, kInt, "0", "as it was at this revision"},
          {"keys-only", 0, kBool, "false", "leave the values out"},
          {"count-only", 0, kBool, "false", "only how many there are (with -w fields)"},
          {"print-value-only", 0, kBool, "false", "leave the keys out (with -w simple)"},
          {"min-create-rev", 0, kInt, "0", "created at or after this revision"},
          {"max-create-rev", 0, kInt, "0", "created at or before this revision"},
          {"min-mod-rev", 0, kInt, "0", "last changed at or after this revision"},
          {"max-mod-rev", 0, kInt, "0", "last changed at or before this revision"},
          {"stream", 0, kBool, "false", "fetch by the RangeStream call"}};
}

std::vector<FlagSpec> put_flags() {
  using enum FlagKind;
  return {{"lease", 0, kText, "0", "lease to attach the key to (hexadecimal)"},
          {"prev-kv", 0, kBool, "false", "show what was there before"},
          {"ignore-value", 0, kBool, "false", "keep the value that the key has"},
          {"ignore-lease", 0, kBool, "false", "keep the lease that the key has"}};
}

std::vector<FlagSpec> del_flags() {
  using enum FlagKind;
  return {{"prefix", 0, kBool, "false", "all keys that begin with the key"},
          {"from-key", 0, kBool, "false", "all keys from the key on, in byte order"},
          {"range", 0, kBool, "false", "delete [key, range_end) without the warning and the wait"},
          {"prev-kv", 0, kBool, "false", "show what was deleted"}};
}

std::vector<Command> kv_commands() {
  return {
      {.name = "compaction",
       .group = kGroup,
       .summary = "Forgets the history before a revision",
       .arguments = "[options] <revision>",
       .details = "Forgets what was superseded at or before a revision. Reads and watches before it fail from then on.",
       .examples = "$ etcdppctl compaction 1000\n$ etcdppctl compaction --physical 1000",
       .flags = {{"physical", 0, FlagKind::kBool, "false", "wait until it is gone from the disk too"}},
       .run = run_compaction,
       .children = {},
       .group_flags = {}},
      {.name = "del",
       .group = kGroup,
       .summary = "Deletes a key, or the keys of [key, range_end)",
       .arguments = "[options] <key> [range_end]",
       .examples = "$ etcdppctl del greeting\n$ etcdppctl del --prefix --prev-kv app/\n$ etcdppctl del --range a c",
       .flags = del_flags(),
       .run = run_del,
       .children = {},
       .group_flags = {}},
      {.name = "get",
       .group = kGroup,
       .summary = "Shows a key, or the keys of [key, range_end)",
       .arguments = "[options] <key> [range_end]",
       .examples =
           "$ etcdppctl get greeting\n$ etcdppctl get --prefix app/ --keys-only\n"
           "$ etcdppctl get greeting --rev 4 -w json\n$ etcdppctl get \"\" --prefix --sort-by MODIFY --limit 10",
       .flags = get_flags(),
       .run = run_get,
       .children = {},
       .group_flags = {}},
      {.name = "put",
       .group = kGroup,
       .summary = "Writes a key",
       .arguments = "[options] <key> <value> (<value> can also be given from stdin)",
       .details = "Writes a key. Without a value among the arguments, the value is read from standard input.\n"
                  "A key or value that begins with '-' goes after '--'.",
       .examples = "$ etcdppctl put greeting hello\n$ etcdppctl put config < config.yaml\n"
                   "$ etcdppctl put --lease 77e6a204a7224d33 worker/1 busy\n$ etcdppctl put -- -key -value",
       .flags = put_flags(),
       .run = run_put,
       .children = {},
       .group_flags = {}},
  };
}

}  // namespace etcdpp::ctl
