#include <ostream>

#include "command.h"
#include "completion.h"
#include "globals.h"
#include "session.h"

namespace etcdpp::ctl {
namespace {

constexpr const char* kGroup = "Utility commands";

// What scripts that check etcdctl's version look for: the etcd release whose client this one is a replacement of.
constexpr const char* kEtcdVersion = "3.7.1";
constexpr const char* kApiVersion = "3.7";

Outcome<> run_version(Session& session) {
  session.io.out << "etcdctl version: " << kEtcdVersion << "\nAPI version: " << kApiVersion
                 << "\netcdppctl version: " << ETCDPP_VERSION << '\n';
  return {};
}

Outcome<> run_options(Session& session) {
  session.io.out << "The following options can be passed to any command:\n\n" << flag_usage(global_flags());
  return {};
}

Outcome<> run_help(Session& session) {
  auto found = find_command(session.program, session.arguments());
  if (!found) return fail(kError, found.error());
  session.io.out << help_text(session.program, *found);
  return {};
}

Outcome<> run_completion(Session& session) {
  session.io.out << completion_script(session.found.command().name, session.program);
  return {};
}

Command completion_of(const char* shell, const char* summary, const char* examples) {
  return {.name = shell,
          .group = nullptr,
          .summary = summary,
          .examples = examples,
          .flags = {},
          .run = run_completion,
          .children = {},
          .group_flags = {},
          .uses_cluster = false};
}

}  // namespace

std::vector<Command> utility_commands() {
  return {{.name = "completion",
           .group = kGroup,
           .summary = "Writes a completion script for a shell",
           .flags = {},
           .run = {},
           .children = {completion_of("bash", "For bash", "$ source <(etcdppctl completion bash)"),
                        completion_of("fish", "For fish", "$ etcdppctl completion fish | source"),
                        completion_of("zsh", "For zsh", "$ source <(etcdppctl completion zsh)")},
           .group_flags = {},
           .uses_cluster = false},
          {.name = "help",
           .group = kGroup,
           .summary = "Shows the help of a command",
           .arguments = "[command]",
           .flags = {},
           .run = run_help,
           .children = {},
           .group_flags = {},
           .uses_cluster = false},
          {.name = "options",
           .group = kGroup,
           .summary = "Lists the flags that every command takes",
           .flags = {},
           .run = run_options,
           .children = {},
           .group_flags = {},
           .uses_cluster = false},
          {.name = "version",
           .group = kGroup,
           .summary = "Shows the version",
           .flags = {},
           .run = run_version,
           .children = {},
           .group_flags = {},
           .uses_cluster = false}};
}

}  // namespace etcdpp::ctl
