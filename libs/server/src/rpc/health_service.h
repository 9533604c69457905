#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_set>

#include <etcdpp/base/logger.h>
#include <etcdpp/net/grpc_server.h>

namespace etcdpp::server {

/// grpc.health.v1.Health: whether this server as a whole ("", the only service that it has a status of) serves.
///
/// Threads: set_serving() from any; calls in their own I/O threads.
/// Bound: a watching stream holds at most one message that its client has not taken; what changed meanwhile is told once
/// it has.
class HealthService {
 public:
  explicit HealthService(base::Logger& logger) : logger_(logger) {}
  ~HealthService();
  void add_to(net::GrpcServer& server);

  /// `reason` is for the log, and only when it no longer serves.
  void set_serving(bool serving, std::string_view reason = {});

 private:
  class Stream;
  void check(net::GrpcCall& call, std::string_view message);
  void list(net::GrpcCall& call);
  void watch(net::GrpcCall& call, std::string_view message);

  base::Logger& logger_;
  std::atomic<bool> serving_{true};
  std::mutex mutex_;
  std::unordered_set<std::shared_ptr<Stream>> streams_;  // guarded by mutex_
};

}  // namespace etcdpp::server
