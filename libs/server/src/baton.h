#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace etcdpp::server {

/// One set of loops, many threads that bring it work: whoever brings work while nobody runs the loops runs them itself,
/// and the others go back to their sockets at once, since the runner will see what they brought.
///
/// A hand-over between threads costs tens of microseconds of wake-up, about as much as an fdatasync on a fast disk; with
/// the baton a Put that comes alone is proposed, logged, applied and answered without one (docs/THREADS.md).
///
/// Threads: any may call run(); the loops are run by one at a time, each run seeing all that earlier runs did.
/// Order: put the work into a mailbox first, then call run().
class Baton {
 public:
  /// `step_all` steps every loop once and says whether anything was done.
  explicit Baton(std::function<bool()> step_all) : step_all_(std::move(step_all)) {}

  /// Runs the loops until they have nothing to do, for at most `rounds` steps. True if work may be left: call again soon
  /// (from this or any other thread).
  bool run(int rounds) {
    if (calls_.fetch_add(1, std::memory_order_acq_rel) != 0) return false;
    for (std::uint32_t seen = 1;;) {
      bool idle = false;
      while (!idle && rounds-- > 0) idle = !step_all_();
      // Everybody who called since `seen` was read has put work in before; it is looked at unless the rounds are used up.
      const std::uint32_t now = calls_.load(std::memory_order_acquire);
      if (!idle) {
        calls_.store(0, std::memory_order_release);
        return true;
      }
      if (now == seen) {
        std::uint32_t expected = now;
        if (calls_.compare_exchange_strong(expected, 0, std::memory_order_acq_rel)) return false;
      }
      seen = calls_.load(std::memory_order_acquire);
      if (rounds <= 0) rounds = 1;
    }
  }

 private:
  const std::function<bool()> step_all_;
  std::atomic<std::uint32_t> calls_{0};
};

}  // namespace etcdpp::server
