#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flags.h"

namespace etcdpp::waldump {

/// A script that completes flags, their values and paths; empty for a shell other than bash, zsh and fish.
std::string completion_script(std::string_view shell, const std::vector<FlagWords>& flags);

}  // namespace etcdpp::waldump
