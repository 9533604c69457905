#include "completion.h"

#include <functional>

#include "command.h"
#include "globals.h"

namespace etcdpp::ctl {
namespace {

/// Calls `visit` with every command below the root and the words that lead to it (" lease grant").
void walk(const Command& command, const std::string& path,
          const std::function<void(const Command&, const std::string&)>& visit) {
  for (const Command& child : command.children) {
    const std::string below = path + " " + child.name;
    visit(child, below);
    walk(child, below, visit);
  }
}

std::string flag_words(const std::vector<FlagSpec>& flags) {
  std::string out;
  for (const FlagSpec& flag : flags) out += std::string(" --") + flag.name;
  return out;
}

std::string bash_script(const std::string& program) {
  std::string function = "_" + program;
  for (char& c : function)
    if (c == '-' || c == '.') c = '_';
  std::string paths;
  std::string cases;
  std::string top;
  for (const Command& command : root_command().children) top += std::string(top.empty() ? "" : " ") + command.name;
  walk(root_command(), "", [&](const Command& command, const std::string& path) {
    paths += (paths.empty() ? "\"" : "|\"") + path + "\"";
    std::string words;
    for (const Command& child : command.children) words += std::string(words.empty() ? "" : " ") + child.name;
    if (command.run) words += flag_words(command.flags) + " --help";
    cases += "    \"" + path + "\") words=\"" + words + "\" ;;\n";
  });
  return "# bash completion of " + program + "\n" + function +
         "() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} path=\"\" words=\"\" i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    case \"$path ${COMP_WORDS[i]}\" in\n"
         "      " +
         paths +
         ") path=\"$path ${COMP_WORDS[i]}\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$path\" in\n"
         "    \"\") words=\"" +
         top + "\" ;;\n" + cases +
         "  esac\n"
         "  case \"$cur\" in -*) words=\"$words" +
         flag_words(global_flags()) +
         "\" ;; esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "}\n"
         "complete -o default -F " +
         function + " " + program + "\n";
}

std::string fish_script(const std::string& program) {
  const auto quoted = [](std::string_view text) {
    std::string out = "'";
    for (char c : text) out += c == '\'' ? std::string("\\'") : std::string(1, c);
    return out + "'";
  };
  std::string out = "# fish completion of " + program + "\ncomplete -c " + program + " -f\n";
  for (const FlagSpec& flag : global_flags())
    out += "complete -c " + program + " -l " + flag.name + " -d " + quoted(flag.help) + "\n";
  for (const Command& command : root_command().children) {
    out += "complete -c " + program + " -n __fish_use_subcommand -a " + command.name + " -d " +
           quoted(command.summary) + "\n";
    std::string children;
    for (const Command& child : command.children) children += std::string(" ") + child.name;
    const std::string seen = std::string("__fish_seen_subcommand_from ") + command.name;
    for (const FlagSpec& flag : command.flags)
      out += "complete -c " + program + " -n " + quoted(seen) + " -l " + flag.name + " -d " + quoted(flag.help) + "\n";
    for (const Command& child : command.children) {
      out += "complete -c " + program + " -n " + quoted(seen + "; and not __fish_seen_subcommand_from" + children) +
             " -a " + child.name + " -d " + quoted(child.summary) + "\n";
      const std::string both = seen + "; and __fish_seen_subcommand_from " + child.name;
      for (const FlagSpec& flag : child.flags)
        out +=
            "complete -c " + program + " -n " + quoted(both) + " -l " + flag.name + " -d " + quoted(flag.help) + "\n";
    }
  }
  return out;
}

}  // namespace

std::string completion_script(std::string_view shell, std::string_view program) {
  if (shell == "bash") return bash_script(std::string(program));
  // zsh reads bash's completions once this function of its own is loaded.
  if (shell == "zsh") return "autoload -U +X bashcompinit && bashcompinit\n" + bash_script(std::string(program));
  if (shell == "fish") return fish_script(std::string(program));
  return {};
}

}  // namespace etcdpp::ctl
