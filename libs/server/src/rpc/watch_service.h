#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include <etcdpp/base/mailbox.h>
#include <etcdpp/mvcc/event_log.h>
#include <etcdpp/mvcc/watch_hub.h>

#include "service.h"

namespace etcdpp::server {

class HubThread;

/// How many of what the hubs of all threads hold; each number exact at some moment.
struct WatchStats {
  std::uint64_t streams = 0;
  std::uint64_t watchers = 0;
  std::uint64_t lagging = 0;
  std::uint64_t events_sent = 0;
};

/// A question for past revisions, from a hub to the history loop.
struct HistoryRequest {
  HubThread* hub;
  std::uint64_t ticket;
  std::int64_t from;
};

/// Reads past revisions for watchers that the event log no longer reaches. Threads: ask() from any; step() from the `watch`
/// thread. Bound: each hub has one question open at a time.
class HistoryLoop {
 public:
  explicit HistoryLoop(Member& member) : member_(member) {}
  void ask(HistoryRequest request) { mailbox_.push_always(request); }
  /// False if nobody asked.
  bool step();
  void wait() { mailbox_.wait(); }
  void stop() { mailbox_.close(); }
  bool stopped() const { return mailbox_.closed(); }

 private:
  Member& member_;
  base::Mailbox<HistoryRequest> mailbox_{1};
  std::vector<HistoryRequest> taken_;
};

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
