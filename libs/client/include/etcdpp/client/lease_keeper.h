#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include <etcdserverpb/rpc.pb.h>

#include <etcdpp/base/result.h>

namespace etcdpp::client {

class Client;

/// Keeps one lease alive: renews it after each third of its time to live, on whichever endpoint answers.
///
/// Threads: next() by one, stop() by any.
/// Errors of next(): Errc::kLeaseExpired when the server says it is gone, or when its time passed without a renewal
/// that reached a server; Errc::kClosed after stop(); any status that does not pass (auth). etcd:
/// clientv3.Lease.KeepAlive for one lease; a short stream per renewal instead of one for all.
class LeaseKeeper {
 public:
  LeaseKeeper(Client& client, std::int64_t lease_id);

  /// Waits until a renewal is due (the first at once), makes it and returns the answer.
  base::Result<etcdserverpb::LeaseKeepAliveResponse> next();

  /// Makes next() return; the lease runs out by itself.
  void stop();

 private:
  bool wait_until(std::chrono::steady_clock::time_point when);

  Client& client_;
  const std::int64_t lease_id_;
  std::chrono::steady_clock::time_point due_;
  std::chrono::steady_clock::time_point expires_;

  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stopped_ = false;  // under mutex_
};

}  // namespace etcdpp::client
