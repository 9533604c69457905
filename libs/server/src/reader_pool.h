#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <vector>

#include <etcdpp/base/mailbox.h>

namespace etcdpp::server {

/// Long reads (hashes, sorted lists, later exports), off the I/O threads: in slices and in turn, so that a short one does
/// not wait for the end of a long one.
///
/// Threads: run() and run_in_slices() from any; step() from the `reader` thread. Bound: kMaxJobs; beyond, they refuse.
class ReaderPool {
 public:
  /// True: call again, there is more to do.
  using Slice = std::move_only_function<bool()>;

  /// False: too many wait already.
  bool run(std::move_only_function<void()> job) {
    return run_in_slices([job = std::move(job)]() mutable {
      job();
      return false;
    });
  }
  bool run_in_slices(Slice slice) {
    if (jobs_.fetch_add(1, std::memory_order_relaxed) < kMaxJobs && mailbox_.try_push(std::move(slice))) return true;
    jobs_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }

  /// One slice of the job whose turn it is; false if there is none.
  bool step() {
    if (mailbox_.take(taken_))
      for (Slice& slice : taken_) turn_.push_back(std::move(slice));
    if (turn_.empty()) return false;
    Slice slice = std::move(turn_.front());
    turn_.pop_front();
    if (slice()) turn_.push_back(std::move(slice));
    else jobs_.fetch_sub(1, std::memory_order_relaxed);
    return true;
  }
  void wait() { mailbox_.wait(); }
  void stop() { mailbox_.close(); }
  bool stopped() const { return mailbox_.closed(); }
  /// After the thread has ended: lets go of what was not done.
  void drop() {
    mailbox_.take(taken_);
    taken_.clear();
    turn_.clear();
  }

 private:
  static constexpr std::size_t kMaxJobs = 1000;
  base::Mailbox<Slice> mailbox_{kMaxJobs};
  std::atomic<std::size_t> jobs_{0};
  // The reader thread's.
  std::vector<Slice> taken_;
  std::deque<Slice> turn_;
};

}  // namespace etcdpp::server
