#include "completion.h"

namespace etcdpp::waldump {

namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::string bash_script(const std::vector<FlagWords>& flags) {
  std::string names;
  std::string values;
  std::string silent;
  for (const FlagWords& flag : flags) {
    names += (names.empty() ? "" : " ") + flag.name;
    if (!flag.values.empty()) values += "    " + flag.name + ") COMPREPLY=($(compgen -W \"" + joined(flag.values) + "\" -- \"$cur\")); return ;;\n";
    else if (flag.takes_value && !flag.takes_path) silent += (silent.empty() ? "" : "|") + flag.name;
  }
  return "# bash completion of waldump\n"
         "_waldump() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  case \"$before\" in\n" +
         values + "    " + silent +
         ") return ;;\n"
         "    -o) COMPREPLY=($(compgen -W \"text json\" -- \"$cur\")); return ;;\n"
         "    completion) COMPREPLY=($(compgen -W \"bash zsh fish\" -- \"$cur\")); return ;;\n"
         "  esac\n"
         "  case \"$cur\" in -*) COMPREPLY=($(compgen -W \"" +
         names +
         " --help\" -- \"$cur\")) ;; esac\n"
         "}\n"
         "complete -o default -F _waldump waldump\n";
}

std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string fish_script(const std::vector<FlagWords>& flags) {
  std::string out = "# fish completion of waldump\n";
  for (const FlagWords& flag : flags) {
    out += "complete -c waldump -l " + flag.name.substr(2) + " -d " + quoted(flag.help);
    if (flag.takes_path) out += " -r -F";
    else if (!flag.values.empty()) out += " -x -a " + quoted(joined(flag.values));
    else if (flag.takes_value) out += " -x";
    out += '\n';
  }
  return out + "complete -c waldump -s o -x -a 'text json' -d 'text, or json: one object a line'\n";
}

}  // namespace

std::string completion_script(std::string_view shell, const std::vector<FlagWords>& flags) {
  if (shell == "bash") return bash_script(flags);
  // zsh reads bash's completions once this function of its own is loaded.
  if (shell == "zsh") return "autoload -U +X bashcompinit && bashcompinit\n" + bash_script(flags);
  if (shell == "fish") return fish_script(flags);
  return {};
}

}  // namespace etcdpp::waldump
