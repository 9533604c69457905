#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "failure.h"
#include "flags.h"

namespace etcdpp::ctl {

class Session;

/// A word of the command line: a command that runs, or a group of commands.
struct Command {
  const char* name;
  const char* group;           ///< heading in the top-level help; null below it
  const char* summary;         ///< one line, no full stop
  const char* arguments = "";  ///< as shown after the name in the usage line
  const char* details = "";    ///< paragraphs before the usage, or empty: the summary
  const char* examples = "";   ///< lines of shell
  std::vector<FlagSpec> flags;
  std::function<Outcome<>(Session&)> run;  ///< empty for a group
  std::vector<Command> children;
  std::vector<FlagSpec> group_flags;  ///< taken by every command of the group
  bool uses_cluster = true;           ///< the environment's settings are read
};

/// The whole command tree, in the order of the help.
const Command& root_command();

/// What a command line named: the commands from the root down, and the arguments that are left.
struct Found {
  std::vector<const Command*> path;
  std::vector<std::string> arguments;
  const Command& command() const { return *path.back(); }
};

/// Finds the command among the arguments; a unique beginning of a name is enough. The error is the message for an
/// unknown command, with its further lines.
std::expected<Found, std::string> find_command(std::string_view program, const std::vector<std::string>& arguments);

/// All flags that the command takes: its own, those of its groups, the global ones.
std::vector<FlagSpec> flags_of(const Found& found);

std::string help_text(std::string_view program, const Found& found);
/// The part of the help from "Usage:" on, which follows an error about a flag.
std::string usage_text(std::string_view program, const Found& found);

// The commands, each group in its own file.
std::vector<Command> kv_commands();
Command txn_command();
Command watch_command();
Command lease_commands();
Command alarm_commands();
Command defrag_command();
Command endpoint_commands();
Command member_commands();
std::vector<Command> utility_commands();

/// The flags of `get`, `put` and `del`, which the lines of a txn take too.
std::vector<FlagSpec> get_flags();
std::vector<FlagSpec> put_flags();
std::vector<FlagSpec> del_flags();
std::vector<FlagSpec> watch_flags();

}  // namespace etcdpp::ctl
