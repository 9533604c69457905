#pragma once

#include <memory>
#include <unordered_map>

#include <etcdpp/mvcc/watch_hub.h>

#include "hub_thread.h"
#include "service.h"

namespace etcdpp::server {

/// etcdserverpb.Watch: a hub per I/O thread, a stream per call.
class WatchService : public Service {
 public:
  WatchService(Member& member, std::uint64_t seed);
  ~WatchService();
  void add_to(net::GrpcServer& server);

  /// Makes the hub of an I/O thread; for every thread, before the listeners start.
  void add_thread(net::Executor& thread);
  /// Lets hubs send progress that is due; every 100 ms, from any thread.
  void tick();
  HistoryLoop& history_loop() { return history_loop_; }
  /// From any thread.
  WatchStats stats() const;

 private:
  friend class WatchStream;
  std::uint64_t seed_;
  HistoryLoop history_loop_;
  std::unordered_map<net::Executor*, std::unique_ptr<HubThread>> hubs_;
};

}  // namespace etcdpp::server
