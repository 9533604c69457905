#include "hub_thread.h"

#include <etcdpp/mvcc/history_reader.h>
#include <etcdpp/mvcc/range_reader.h>

#include "../apply/requests.h"
#include "../member.h"

namespace etcdpp::server {

bool HistoryLoop::step() {
  if (!mailbox_.take(taken_)) return false;
  for (const HistoryRequest& request : taken_) {
    mvcc::HistoryBatch batch;
    batch.ticket = request.ticket;
    batch.covered_to = request.from - 1;
    batch.current_revision = member_.views().revision();
    auto history = mvcc::read_history(member_.views(), request.from);
    if (history) {
      batch.revisions = std::move(history->revisions);
      batch.covered_to = history->covered_to;
      batch.current_revision = history->current_revision;
    } else if (is_fatal(history.error())) {
      member_.failure().report("database cannot be read", history.error());
    }
    request.hub->answer(std::move(batch));
  }
  return true;
}

HubThread::HubThread(Member& member, HistoryLoop& history, net::Executor& thread, const mvcc::WatchHubOptions& options,
                     std::uint64_t seed)
    : member_(member),
      history_(history),
      thread_(thread),
      hub_(options, member.event_log(), *this, *this, base::Random(seed)) {}

void HubThread::step() {
  const base::Instant begin = member_.clock().now();
  const std::uint64_t sent_before = hub_.events_sent();
  const auto progress = hub_.next_progress();
  if (hub_.step(thread_.now())) schedule();
  const std::uint64_t sent = hub_.events_sent() - sent_before;
  if (sent != 0) {
    const double took = std::chrono::duration<double>(member_.clock().now() - begin).count();
    member_.metrics().watch_batch.observe(took);
    member_.metrics().watch_event.observe(took / static_cast<double>(sent));
  } else if (progress && *progress <= begin) {
    member_.metrics().watch_progress.observe(member_.clock().now() - begin);
  }
  note_stats();
}

void HubThread::schedule() {
  if (scheduled_.exchange(true)) return;
  thread_.post([this] {
    scheduled_ = false;
    step();
  });
}

void HubThread::answer(mvcc::HistoryBatch batch) {
  thread_.post([this, batch = std::move(batch)]() mutable {
    hub_.on_history(std::move(batch));
    step();
  });
}

void HubThread::note_stats() {
  streams_.store(hub_.streams(), std::memory_order_relaxed);
  watchers_.store(hub_.watchers(), std::memory_order_relaxed);
  lagging_.store(hub_.lagging(), std::memory_order_relaxed);
  events_sent_.store(hub_.events_sent(), std::memory_order_relaxed);
}

void HubThread::add_to(WatchStats& stats) const {
  stats.streams += streams_.load(std::memory_order_relaxed);
  stats.watchers += watchers_.load(std::memory_order_relaxed);
  stats.lagging += lagging_.load(std::memory_order_relaxed);
  stats.events_sent += events_sent_.load(std::memory_order_relaxed);
}

std::int64_t HubThread::compact_revision() const { return member_.views().compact_revision(); }

std::optional<base::Bytes> HubThread::value_at(base::BytesView key, std::int64_t revision) {
  const auto reader = mvcc::RangeReader::open(member_.views());
  if (!reader) return std::nullopt;
  if (!reader->resolve(revision)) return std::nullopt;
  const auto value = reader->get(key, revision);
  if (!value) {
    if (is_fatal(value.error())) member_.failure().report("database cannot be read", value.error());
    return std::nullopt;
  }
  if (!*value) return std::nullopt;
  return base::Bytes(**value);
}

}  // namespace etcdpp::server
