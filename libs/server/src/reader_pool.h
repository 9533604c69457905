#pragma once

#include <functional>
#include <vector>

#include <etcdpp/base/mailbox.h>

namespace etcdpp::server {

/// Long reads (hashes, later exports), off the I/O threads. Threads: run() from any; step() from the `reader` thread.
/// Bound: kMaxWaiting; beyond, run() refuses.
class ReaderPool {
 public:
  using Job = std::move_only_function<void()>;

  /// False: too many wait already.
  bool run(Job job) { return mailbox_.try_push(std::move(job)); }
  bool step() {
    if (!mailbox_.take(taken_)) return false;
    for (Job& job : taken_) job();
    taken_.clear();
    return true;
  }
  void wait() { mailbox_.wait(); }
  void stop() { mailbox_.close(); }
  bool stopped() const { return mailbox_.closed(); }

 private:
  static constexpr std::size_t kMaxWaiting = 1000;
  base::Mailbox<Job> mailbox_{kMaxWaiting};
  std::vector<Job> taken_;
};

}  // namespace etcdpp::server
