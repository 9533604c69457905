#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include <etcdpp/base/logger.h>
#include <etcdpp/base/result.h>

namespace etcdpp::server {

/// Where a loop says that the member's durable state can no longer be trusted. The first report counts: it is logged
/// with file, offset or index and handed to the owner, which ends the process; from then on nothing is acknowledged.
///
/// Threads: any.
class Failure {
 public:
  Failure(base::Logger& logger, std::function<void(const base::Error&)> on_failure)
      : logger_(logger), on_failure_(std::move(on_failure)) {}

  void report(std::string_view what, const base::Error& error) {
    {
      std::lock_guard lock(mutex_);
      if (failed_.exchange(true)) return;
      error_ = error;
    }
    logger_.fatal(what, {{"error", error.message()}});
    if (on_failure_) on_failure_(error);
  }
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  std::optional<base::Error> error() const {
    std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  base::Logger& logger_;
  const std::function<void(const base::Error&)> on_failure_;
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  std::optional<base::Error> error_;  // guarded by mutex_
};

}  // namespace etcdpp::server
