#pragma once

#include <chrono>

namespace etcdpp::base {

using Duration = std::chrono::nanoseconds;
/// A point on the monotonic clock; never compared across processes.
using Instant = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// Where time comes from. The daemon has the real one; tests and the simulator have one that they move by hand.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
  /// Milliseconds since 1970, for ids and logs only: never for deciding anything about elapsed time.
  virtual std::int64_t wall_milliseconds() const = 0;
};

class SystemClock final : public Clock {
 public:
  Instant now() const override;
  std::int64_t wall_milliseconds() const override;
};

/// Stands still until it is moved.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::int64_t wall_start_milliseconds = 1'700'000'000'000) : wall_start_(wall_start_milliseconds) {}
  Instant now() const override { return Instant(elapsed_); }
  std::int64_t wall_milliseconds() const override {
    return wall_start_ + std::chrono::duration_cast<std::chrono::milliseconds>(elapsed_).count();
  }
  void advance(Duration by) { elapsed_ += by; }

 private:
  std::int64_t wall_start_;
  Duration elapsed_{};
};

}  // namespace etcdpp::base
