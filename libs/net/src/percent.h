#pragma once

#include <string>
#include <string_view>

namespace etcdpp::net {

/// Undoes %XX into `out` (replaced). False at a percent sign without two digits; what came before it is in `out` then.
/// With `form`, '+' is a blank and a stray percent sign stands for itself, as in queries.
bool percent_decode(std::string_view text, bool form, std::string& out);

}  // namespace etcdpp::net
