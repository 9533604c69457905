#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include <etcdpp/base/clock.h>

namespace etcdpp::server {

/// When compactions that are not over yet were applied. Threads: scheduled() in the apply loop, finished() in the commit
/// loop. Bound: as many as the store has jobs.
class CompactionTimes {
 public:
  void scheduled(std::int64_t revision, base::Instant now) {
    std::lock_guard lock(mutex_);
    open_.emplace_back(revision, now);
  }
  /// Since when the one to `revision` was on its way; none if it is an older life's.
  std::optional<base::Duration> finished(std::int64_t revision, base::Instant now) {
    std::lock_guard lock(mutex_);
    std::optional<base::Duration> took;
    for (; !open_.empty() && open_.front().first <= revision; open_.pop_front()) took = now - open_.front().second;
    return took;
  }

 private:
  std::mutex mutex_;
  std::deque<std::pair<std::int64_t, base::Instant>> open_;  // guarded by mutex_
};

}  // namespace etcdpp::server
