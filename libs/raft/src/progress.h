#pragma once

#include <cstdint>
#include <string>

#include <etcdpp/raft/status.h>
#include <etcdpp/raft/types.h>

#include "inflights.h"

namespace etcdpp::raft {

/// What a leader knows about one follower: how far its log matches, what to send next, and how fast.
///
/// Probe: one message at a time until it is known where the logs part. Replicate: optimistic streaming, `next` runs ahead
/// of `match` within the in-flight window. Snapshot: the follower needs a snapshot, no entries are sent until it reports.
/// Invariant: match < next.
struct Progress {
  Index match = 0;
  Index next = 0;
  /// The highest commit index that is in flight to the follower; saves messages that would tell it nothing new.
  Index sent_commit = 0;
  ProgressState state = ProgressState::kProbe;
  /// Of state kSnapshot: where the leader's log stood; replication goes on from there.
  Index pending_snapshot = 0;
  /// An answer came in this election timeout (check-quorum).
  bool recent_active = false;
  /// A probe is out, or the window is full: no entries until an answer or a heartbeat's answer.
  bool append_flow_paused = false;
  bool is_learner = false;
  Inflights inflights{};

  void become_probe();
  void become_replicate();
  void become_snapshot(Index snapshot_index);

  /// No MsgApp may be sent now.
  bool paused() const;
  /// Accounts for a MsgApp just sent with this many entries. Precondition: not in state kSnapshot.
  void sent_entries(std::size_t entries, std::uint64_t bytes);
  /// Telling the follower this commit index may move its own.
  bool can_bump_commit(Index commit) const { return commit > sent_commit && sent_commit < next - 1; }

  /// An accepted append up to `index`; false if it is old news.
  bool maybe_update(Index index);
  /// A rejected append at `rejected`; the follower hints that its log may match at `match_hint`. False if the rejection
  /// is stale.
  bool maybe_decrease_to(Index rejected, Index match_hint);

  ProgressStatus status(NodeId id) const;
  std::string describe() const { return status(kNone).describe(); }

 private:
  void reset_state(ProgressState to);
};

}  // namespace etcdpp::raft
