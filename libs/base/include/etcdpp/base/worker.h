#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace etcdpp::base {

/// A thread that does one piece of work at a time beside its owner, in the order in which they are given.
///
/// What may run beside takes a Worker as an option; without one (the simulator, tests) it does the same work itself, in
/// the same order. Threads: start() and wait() from one thread at a time. What a piece has written is there after wait().
class Worker {
 public:
  /// `name`: of the thread, for the operator; at most 15 bytes.
  explicit Worker(std::string name);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  /// Waits for the last piece.
  ~Worker();

  /// Waits for the piece before, then hands `work` over.
  void start(std::move_only_function<void()> work);
  /// Until nothing is under way.
  void wait();

 private:
  void run();

  const std::string name_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::move_only_function<void()> work_;  // guarded by mutex_, as the next two
  bool busy_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace etcdpp::base
