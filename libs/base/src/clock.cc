#include <etcdpp/base/clock.h>

namespace etcdpp::base {

Instant SystemClock::now() const { return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()); }

std::int64_t SystemClock::wall_milliseconds() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace etcdpp::base
