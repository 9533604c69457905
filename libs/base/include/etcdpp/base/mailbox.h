#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include <etcdpp/base/clock.h>

namespace etcdpp::base {

/// A bounded queue into one loop: many senders, one receiver that takes all that has gathered.
///
/// Threads: try_push from any thread; take, wait and size from the receiver's. Bound: by cost (bytes, or 1 each);
/// when it is full try_push says so and the sender answers by its own rule, nothing is dropped silently.
/// The receiver sleeps only when the queue is empty, so a busy one costs its senders no wake-up. In the simulator
/// nobody waits: step() of the loop calls take().
template <typename T>
class Mailbox {
 public:
  explicit Mailbox(std::size_t capacity_cost) : capacity_(capacity_cost) {}

  /// False when `cost` does not fit (an item is always accepted into an empty queue) or the mailbox is closed.
  bool try_push(T item, std::size_t cost = 1) {
    bool wake;
    {
      std::lock_guard lock(mutex_);
      if (closed_ || (cost_ != 0 && cost_ + cost > capacity_)) return false;
      cost_ += cost;
      items_.push_back(std::move(item));
      wake = std::exchange(sleeping_, false);
    }
    if (wake) ready_.notify_one();
    return true;
  }

  /// Past the bound, for what must not be lost (acknowledgements that release somebody else's bound).
  void push_always(T item) {
    bool wake;
    {
      std::lock_guard lock(mutex_);
      items_.push_back(std::move(item));
      wake = std::exchange(sleeping_, false);
    }
    if (wake) ready_.notify_one();
  }

  /// Moves everything that is there into `out` (cleared first) in order; true if there was something.
  bool take(std::vector<T>& out) {
    out.clear();
    std::lock_guard lock(mutex_);
    if (items_.empty()) return false;
    out.swap(items_);
    cost_ = 0;
    return true;
  }

  /// Sleeps until there is something, somebody called wake(), or `until` has come.
  void wait_until(Instant until) {
    std::unique_lock lock(mutex_);
    if (!items_.empty() || closed_ || std::exchange(woken_, false)) return;
    sleeping_ = true;
    ready_.wait_until(lock, until, [&] { return !sleeping_; });
    sleeping_ = false;
    woken_ = false;
  }
  void wait() {
    std::unique_lock lock(mutex_);
    if (!items_.empty() || closed_ || std::exchange(woken_, false)) return;
    sleeping_ = true;
    ready_.wait(lock, [&] { return !sleeping_; });
    woken_ = false;
  }

  void wake() {
    {
      std::lock_guard lock(mutex_);
      woken_ = true;
      sleeping_ = false;
    }
    ready_.notify_one();
  }

  /// No more items; the receiver is woken and takes what is left.
  void close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
      sleeping_ = false;
    }
    ready_.notify_all();
  }
  bool closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  bool empty() const {
    std::lock_guard lock(mutex_);
    return items_.empty();
  }
  /// Cost of what waits.
  std::size_t cost() const {
    std::lock_guard lock(mutex_);
    return cost_;
  }

 private:
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  // Guarded by mutex_.
  std::vector<T> items_;
  std::size_t cost_ = 0;
  bool sleeping_ = false;
  bool woken_ = false;
  bool closed_ = false;
};

}  // namespace etcdpp::base
