#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include <etcdpp/base/mailbox.h>
#include <etcdpp/mvcc/event_log.h>
#include <etcdpp/mvcc/watch_hub.h>
#include <etcdpp/net/executor.h>

namespace etcdpp::server {

class HubThread;
class Member;

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

/// The watch hub of one I/O thread, and how it is woken and fed. Everything but on_new_events, answer and schedule runs in
/// that thread. Outlives what it has posted there.
class HubThread : public mvcc::EventLog::Listener, public mvcc::WatchStore {
 public:
  HubThread(Member& member, HistoryLoop& history, net::Executor& thread, const mvcc::WatchHubOptions& options, std::uint64_t seed);
  virtual ~HubThread() = default;

  mvcc::WatchHub& hub() { return hub_; }

  void step();
  /// Has step() called, once for any number of reasons.
  void schedule();
  /// What the history loop has read.
  void answer(mvcc::HistoryBatch batch);
  /// Shows what the hub holds to other threads.
  void note_stats();
  void add_to(WatchStats& stats) const;

  void on_new_events() override { schedule(); }
  std::int64_t compact_revision() const override;
  std::optional<base::Bytes> value_at(base::BytesView key, std::int64_t revision) override;
  void read_history(std::uint64_t ticket, std::int64_t from) override { history_.ask({this, ticket, from}); }

 private:
  Member& member_;
  HistoryLoop& history_;
  net::Executor& thread_;
  mvcc::WatchHub hub_;
  std::atomic<bool> scheduled_{false};
  std::atomic<std::uint64_t> streams_{0}, watchers_{0}, lagging_{0}, events_sent_{0};
};

}  // namespace etcdpp::server
