#pragma once

#include <functional>

#include <etcdpp/base/clock.h>

namespace etcdpp::net {

using Task = std::move_only_function<void()>;

/// The one thread that owns something, seen from the others: they may ask it to run a closure and nothing else.
///
/// IoThread is the daemon's; the simulator and unit tests bring one that they step by hand.
class Executor {
 public:
  virtual ~Executor() = default;
  /// Runs `task` in the owning thread, in the order of posting. Any thread. Never runs it inside this call.
  virtual void post(Task task) = 0;
  /// Whether the caller is the owning thread.
  virtual bool is_current() const = 0;
  /// The monotonic time of this turn of the loop: read once per turn, so it may be a little late.
  virtual base::Instant now() const = 0;
};

}  // namespace etcdpp::net
