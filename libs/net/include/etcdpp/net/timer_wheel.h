#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <etcdpp/base/clock.h>

namespace etcdpp::net {

class TimerWheel;

/// Something to be done at a time: a base class, so that an object with a deadline carries its own list node and
/// setting or cancelling a timer allocates nothing. Destruction cancels it.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  virtual ~Timer() { cancel(); }

  bool armed() const { return wheel_ != nullptr; }
  base::Instant due() const { return due_; }
  void cancel();

 protected:
  /// Called once, disarmed; may arm itself again.
  virtual void on_timer() = 0;

 private:
  friend class TimerWheel;
  Timer* next_ = nullptr;
  Timer* previous_ = nullptr;
  TimerWheel* wheel_ = nullptr;
  std::uint64_t tick_ = 0;
  base::Instant due_{};
};

/// A hashed timing wheel (Varghese and Lauck, scheme 6): setting and cancelling are O(1), which a deadline per request
/// needs, and firing costs what is in the slots that time has passed.
///
/// Time is an argument; nothing is read from a clock. A timer never fires early and at most one tick (4 ms) plus the
/// owner's delay late. Threads: one owner.
class TimerWheel {
 public:
  static constexpr base::Duration kTick = std::chrono::milliseconds(4);
  static constexpr std::uint32_t kSlots = 2048;  // one turn is 8.2 s; what is due later stays for more turns

  explicit TimerWheel(base::Instant start);
  ~TimerWheel();

  /// Arms (or moves) `timer`. A time that has passed fires in the next advance.
  void arm(Timer& timer, base::Instant due);
  /// Fires everything due at `now` or before.
  void advance(base::Instant now);
  /// When advance has to be called next; it may be earlier than the next timer, never later. Empty: nothing is armed.
  std::optional<base::Instant> next_due() const;
  std::size_t size() const { return size_; }

 private:
  friend class Timer;
  struct Slot final : Timer {
    Slot() { next_ = previous_ = this; }
    void on_timer() override {}
    bool empty() const { return next_ == this; }
    Timer& front() { return *next_; }
  };
  static void link(Slot& slot, Timer& timer);
  static void unlink(Timer& timer);
  void forget(Timer& timer);
  void fire_slot(std::uint64_t tick);

  base::Instant start_;
  std::uint64_t current_ = 0;  // every tick before this one has fired
  std::size_t size_ = 0;
  std::array<Slot, kSlots> slots_;
  std::array<std::uint64_t, kSlots / 64> occupied_{};
};

}  // namespace etcdpp::net
