// Hop 7 of a Put: see docs/LIFE_OF_A_PUT.md.
#include "wal_loop.h"

#include <algorithm>
#include <limits>

#include <etcdpp/base/failpoint.h>

namespace etcdpp::server {

WalLoop::WalLoop(std::unique_ptr<wal::Wal> log, StorageAcknowledgements& acknowledgements, const base::Clock& clock)
    : log_(std::move(log)),
      acknowledgements_(acknowledgements),
      clock_(clock),
      mailbox_(std::numeric_limits<std::size_t>::max()) {}

void WalLoop::append(raft::Message message) { mailbox_.push_always(std::move(message)); }

void WalLoop::release(wal::SnapshotMarker marker, std::function<void()> released) {
  mailbox_.push_always(Release{std::move(marker), std::move(released)});
}

base::Result<bool> WalLoop::step() {
  if (!mailbox_.take(taken_)) return false;
  for (Work& work : taken_) {
    if (auto* message = std::get_if<raft::Message>(&work)) {
      const raft::HardState state{message->term, message->vote, message->commit};
      ETCDPP_TRY(log_->append(state, message->entries));
      waiting_.push_back(std::move(message->responses));
      continue;
    }
    // The marker stands behind a hard state that commits it, and everything before it is durable.
    Release& release = std::get<Release>(work);
    ETCDPP_TRY(sync_and_acknowledge());
    ETCDPP_TRY(log_->save_snapshot(release.marker));
    ETCDPP_TRY(log_->release_to(release.marker.index));
    release.released();
  }
  ETCDPP_TRY(sync_and_acknowledge());
  return true;
}

base::Result<> WalLoop::sync_and_acknowledge() {
  if (log_->needs_sync()) {
    ETCDPP_FAILPOINT("raftBeforeSave");
    const base::Instant begin = clock_.now();
    ETCDPP_TRY(log_->sync());
    const auto before = recent_sync_.load(std::memory_order_relaxed);
    // A single outlier (the device's cache, a processor that was taken away) does not make a quick disk slow; a row of them does.
    const auto most = before == 0 ? std::numeric_limits<base::Duration::rep>::max() : 4 * before;
    const auto took = std::min((clock_.now() - begin).count(), most);
    recent_sync_.store(before == 0 ? took : before + (took - before) / 8, std::memory_order_relaxed);
    ETCDPP_FAILPOINT("raftAfterSave");
  }
  for (auto& responses : waiting_) acknowledgements_.append_durable(std::move(responses));
  waiting_.clear();
  return {};
}

}  // namespace etcdpp::server
