#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace etcdpp::mvccdump {

/// A command and its flags, as a shell offers them.
struct Completed {
  std::string name;
  std::string about;
  std::vector<std::string> flags;
};

/// The script that makes bash, zsh or fish complete mvccdump's commands and flags; empty for another shell.
std::string completion_script(std::string_view shell, const std::vector<Completed>& commands);

}  // namespace etcdpp::mvccdump
