#include "command.h"

#include <algorithm>
#include <map>

#include "globals.h"

namespace etcdpp::ctl {
namespace {

/// Whether two words are at most two edits apart.
bool similar(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()] <= 2;
}

const Command* child_named(const Command& parent, std::string_view name) {
  const Command* only = nullptr;
  std::size_t matches = 0;
  for (const Command& child : parent.children) {
    if (child.name == name) return &child;
    if (std::string_view(child.name).starts_with(name)) {
      only = &child;
      ++matches;
    }
  }
  return matches == 1 && !name.empty() ? only : nullptr;
}

std::string unknown_command(std::string_view program, std::string_view name) {
  std::string message = "unknown command \"" + std::string(name) + "\" for \"" + std::string(program) + "\"\n";
  std::string suggestions;
  for (const Command& child : root_command().children)
    if (similar(name, child.name) || (!name.empty() && std::string_view(child.name).starts_with(name)))
      suggestions += std::string("\t") + child.name + "\n";
  if (!suggestions.empty()) message += "\nDid you mean this?\n" + suggestions + "\n";
  return message + "Run '" + std::string(program) + " --help' for usage.";
}

std::string path_text(std::string_view program, const Found& found) {
  std::string out(program);
  for (std::size_t i = 1; i < found.path.size(); ++i) out += std::string(" ") + found.path[i]->name;
  return out;
}

std::string listed(const std::vector<const Command*>& commands, std::size_t width) {
  std::string out;
  for (const Command* command : commands) {
    const std::string name = command->name;
    out += "  " + name + std::string(width - name.size() + 1, ' ') + command->summary + "\n";
  }
  return out;
}

std::string indented(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto end = text.find('\n');
    out += "  " + std::string(text.substr(0, end)) + "\n";
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return out;
}

std::vector<FlagSpec> own_flags(const Command& command) {
  std::vector<FlagSpec> flags = command.flags;
  flags.push_back({"help", 'h', FlagKind::kBool, "false", "show this help"});
  return flags;
}

}  // namespace

const Command& root_command() {
  static const Command root = [] {
    Command command{.name = "",
                    .group = nullptr,
                    .summary = "A command line client of etcd and etcdpp",
                    .flags = {},
                    .run = {},
                    .children = {},
                    .group_flags = {}};
    auto& children = command.children;
    for (Command& kv : kv_commands()) children.push_back(std::move(kv));
    children.push_back(txn_command());
    children.push_back(watch_command());
    children.push_back(lease_commands());
    children.push_back(alarm_commands());
    children.push_back(defrag_command());
    children.push_back(endpoint_commands());
    children.push_back(member_commands());
    for (Command& utility : utility_commands()) children.push_back(std::move(utility));
    return command;
  }();
  return root;
}

std::expected<Found, std::string> find_command(std::string_view program, const std::vector<std::string>& arguments) {
  Found found{.path = {&root_command()}, .arguments = {}};
  Flags known(flags_of(found));
  std::size_t i = 0;
  for (; i < arguments.size() && !found.command().children.empty(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") break;
    if (argument.size() > 1 && argument[0] == '-') {
      found.arguments.push_back(argument);
      if (known.takes_next(argument) && i + 1 < arguments.size()) found.arguments.push_back(arguments[++i]);
      continue;
    }
    const Command* child = child_named(found.command(), argument);
    if (!child) {
      if (found.path.size() == 1) return std::unexpected(unknown_command(program, argument));
      break;
    }
    found.path.push_back(child);
    known = Flags(flags_of(found));
  }
  found.arguments.insert(found.arguments.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i), arguments.end());
  return found;
}

std::vector<FlagSpec> flags_of(const Found& found) {
  std::vector<FlagSpec> flags = own_flags(found.command());
  for (const Command* command : found.path)
    flags.insert(flags.end(), command->group_flags.begin(), command->group_flags.end());
  const auto globals = global_flags();
  flags.insert(flags.end(), globals.begin(), globals.end());
  return flags;
}

std::string usage_text(std::string_view program, const Found& found) {
  const Command& command = found.command();
  const std::string path = path_text(program, found);
  std::string out = "Usage:\n  " + path;
  if (!command.children.empty()) {
    out += " [command]\n";
  } else {
    if (*command.arguments) out += std::string(" ") + command.arguments;
    out += " [flags]\n";
  }

  if (found.path.size() == 1) {
    std::vector<std::string> headings;
    std::map<std::string, std::vector<const Command*>> groups;
    std::size_t width = 0;
    for (const Command& child : command.children) {
      if (groups[child.group].empty()) headings.emplace_back(child.group);
      groups[child.group].push_back(&child);
      width = std::max(width, std::string_view(child.name).size());
    }
    for (const auto& heading : headings) out += "\n" + heading + "\n" + listed(groups[heading], width);
  } else if (!command.children.empty()) {
    std::vector<const Command*> children;
    std::size_t width = 0;
    for (const Command& child : command.children) {
      children.push_back(&child);
      width = std::max(width, std::string_view(child.name).size());
    }
    out += "\nAvailable Commands:\n" + listed(children, width);
  }

  if (*command.examples) out += "\nExamples:\n" + indented(command.examples);
  if (found.path.size() > 1) out += "\nFlags:\n" + flag_usage(own_flags(command));
  std::vector<FlagSpec> inherited;
  for (const Command* ancestor : found.path)
    inherited.insert(inherited.end(), ancestor->group_flags.begin(), ancestor->group_flags.end());
  if (!inherited.empty()) out += "\nGlobal Flags:\n" + flag_usage(inherited);
  return out;
}

std::string help_text(std::string_view program, const Found& found) {
  const Command& command = found.command();
  std::string out = *command.details ? command.details : command.summary;
  out += "\n\n" + usage_text(program, found);
  if (!command.children.empty())
    out += "\nUse \"" + path_text(program, found) + " [command] --help\" for more information about a command.\n";
  return out + "Use \"" + std::string(program) +
         " options\" for a list of global command-line options (applies to all commands).\n";
}

}  // namespace etcdpp::ctl
