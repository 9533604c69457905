#include "completion.h"

namespace etcdpp::mvccdump {

namespace {

std::string bash_script(const std::vector<Completed>& commands) {
  std::string names, cases;
  for (const Completed& command : commands) {
    names += (names.empty() ? "" : " ") + command.name;
    std::string flags;
    for (const std::string& flag : command.flags) flags += (flags.empty() ? "" : " ") + flag;
    cases += "    " + command.name + ") words=\"" + flags + "\" ;;\n";
  }
  return "# bash completion of mvccdump\n"
         "_mvccdump() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} command=\"\" words=\"\" word\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    case \" " + names + " \" in *\" $word \"*) command=$word; break ;; esac\n"
         "  done\n"
         "  case \"$command\" in\n"
         "    \"\") words=\"" + names + "\" ;;\n" + cases +
         "  esac\n"
         "  [[ $command && $cur != -* ]] && words=\"\"\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "}\n"
         "complete -o default -F _mvccdump mvccdump\n";
}

std::string fish_script(const std::vector<Completed>& commands) {
  const auto quote = [](std::string_view text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("\\'") : std::string(1, c);
    return out + "'";
  };
  std::string out = "# fish completion of mvccdump\n";
  for (const Completed& command : commands) {
    out += "complete -c mvccdump -n __fish_use_subcommand -a " + command.name + " -d " + quote(command.about) + "\n";
    for (const std::string& flag : command.flags)
      if (flag.starts_with("--")) out += "complete -c mvccdump -n '__fish_seen_subcommand_from " + command.name + "' -l " + flag.substr(2) + "\n";
  }
  return out;
}

}  // namespace

std::string completion_script(std::string_view shell, const std::vector<Completed>& commands) {
  if (shell == "bash") return bash_script(commands);
  // zsh reads bash's completions once this function of its own is loaded.
  if (shell == "zsh") return "autoload -U +X bashcompinit && bashcompinit\n" + bash_script(commands);
  if (shell == "fish") return fish_script(commands);
  return {};
}

}  // namespace etcdpp::mvccdump
