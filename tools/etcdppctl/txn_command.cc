#include "command.h"
#include "session.h"
#include "txn_grammar.h"

namespace etcdpp::ctl {
namespace {

Outcome<> run_txn(Session& session) {
  if (!session.arguments().empty()) return fail(kBadArgs, "txn command does not accept argument");
  auto request =
      read_txn(session.io.in, session.flags.boolean("interactive") ? &session.io.out : nullptr, session.io.err);
  if (!request) return std::unexpected(request.error());
  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  auto response = (*client)->txn(*request);
  if (!response) return failed(response.error());
  return session.printer->txn(*response);
}

}  // namespace

Command txn_command() {
  return {.name = "txn",
          .group = "Key-value commands",
          .summary = "Does one of two lists of requests, by comparisons, in one step",
          .arguments = "[options]",
          .details =
              "Reads a transaction from standard input in three parts, each ended by an empty line: comparisons,\n"
              "requests if all of them hold, requests if one does not.\n\n"
              "  <comparison> ::= <target>(\"<key>\") (= | != | < | >) \"<value>\"\n"
              "  <target>     ::= ver | version | c | create | m | mod | val | value | lease\n"
              "  <request>    ::= a get, put or del command with its flags",
          .examples =
              "$ etcdppctl txn <<'EOF'\nver(\"greeting\") > \"0\"\n\nput greeting \"hello again\"\nget greeting\n\n"
              "put greeting hello\n\nEOF",
          .flags = {{"interactive", 'i', FlagKind::kBool, "false", "say which part is next"}},
          .run = run_txn,
          .children = {},
          .group_flags = {}};
}

}  // namespace etcdpp::ctl
