#include "progress.h"

#include <algorithm>

#include <etcdpp/base/assert.h>

namespace etcdpp::raft {

void Progress::reset_state(ProgressState to) {
  append_flow_paused = false;
  pending_snapshot = 0;
  state = to;
  inflights.reset();
}

void Progress::become_probe() {
  // A snapshot that was sent is taken as received: probing goes on behind it.
  const Index from = state == ProgressState::kSnapshot ? std::max(match, pending_snapshot) : match;
  reset_state(ProgressState::kProbe);
  next = from + 1;
  sent_commit = std::min(sent_commit, next - 1);
}

void Progress::become_replicate() {
  reset_state(ProgressState::kReplicate);
  next = match + 1;
}

void Progress::become_snapshot(Index snapshot_index) {
  reset_state(ProgressState::kSnapshot);
  pending_snapshot = snapshot_index;
  next = snapshot_index + 1;
  sent_commit = snapshot_index;
}

bool Progress::paused() const {
  return state == ProgressState::kSnapshot || append_flow_paused;
}

void Progress::sent_entries(std::size_t entries, std::uint64_t bytes) {
  ETCDPP_ASSERT(state != ProgressState::kSnapshot, "no append goes to a follower that waits for a snapshot");
  if (state == ProgressState::kReplicate) {
    if (entries > 0) {
      next += entries;
      inflights.add(next - 1, bytes);
    }
    // Once the window is full this message is the last until an answer comes.
    append_flow_paused = inflights.full();
  } else if (entries > 0) {
    append_flow_paused = true;
  }
}

bool Progress::maybe_update(Index index) {
  if (index <= match) return false;
  match = index;
  next = std::max(next, index + 1);
  append_flow_paused = false;
  return true;
}

bool Progress::maybe_decrease_to(Index rejected, Index match_hint) {
  if (state == ProgressState::kReplicate) {
    // Streaming: only what is above match can have been rejected by a present message.
    if (rejected <= match) return false;
    next = match + 1;
    sent_commit = std::min(sent_commit, next - 1);
    return true;
  }
  // Probing: the only message out is the one before `next`.
  if (next - 1 != rejected) return false;
  const Index after_hint = match_hint == kNoLimit ? kNoLimit : match_hint + 1;
  next = std::max(std::min(rejected, after_hint), match + 1);
  sent_commit = std::min(sent_commit, next - 1);
  append_flow_paused = false;
  return true;
}

ProgressStatus Progress::status(NodeId id) const {
  return {.id = id,
          .state = state,
          .match = match,
          .next = next,
          .pending_snapshot = pending_snapshot,
          .is_learner = is_learner,
          .recent_active = recent_active,
          .paused = paused(),
          .inflight = inflights.count(),
          .inflight_full = inflights.full()};
}

}  // namespace etcdpp::raft
