#pragma once

#include <string_view>

namespace etcdpp::base {

/// Ends the process after writing the broken invariant to standard error. Called through ETCDPP_ASSERT only.
[[noreturn]] void assertion_failed(std::string_view condition, std::string_view what, const char* file, int line);

}  // namespace etcdpp::base

/// A broken invariant is a programmer's error: on in every build, never used for input, files or peers.
#define ETCDPP_ASSERT(condition, what)                                                  \
  do {                                                                                  \
    if (!(condition)) [[unlikely]]                                                      \
      ::etcdpp::base::assertion_failed(#condition, (what), __FILE__, __LINE__);         \
  } while (false)
