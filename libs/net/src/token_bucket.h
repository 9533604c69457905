#pragma once

#include <algorithm>
#include <cstdint>

#include <etcdpp/base/clock.h>

namespace etcdpp::net {

/// Lets `burst` events through at once and `per_second` in the long run. Pure: time is an argument.
class TokenBucket {
 public:
  TokenBucket(std::uint32_t burst, std::uint32_t per_second) : burst_(burst), per_second_(per_second), tokens_(burst) {}

  /// False when there is no token left at `now`.
  bool take(base::Instant now) {
    if (tokens_ < 1) {
      const double seconds = std::chrono::duration<double>(now - refilled_).count();
      tokens_ = std::min(burst_, tokens_ + seconds * per_second_);
      refilled_ = now;
      if (tokens_ < 1) return false;
    } else if (tokens_ == burst_) {
      refilled_ = now;
    }
    tokens_ -= 1;
    return true;
  }

 private:
  double burst_;
  double per_second_;
  double tokens_;
  base::Instant refilled_{};
};

}  // namespace etcdpp::net
