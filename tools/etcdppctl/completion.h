#pragma once

#include <string>
#include <string_view>

namespace etcdpp::ctl {

/// A script for bash, zsh or fish that completes commands and flags of the whole tree; empty for another shell.
std::string completion_script(std::string_view shell, std::string_view program);

}  // namespace etcdpp::ctl
