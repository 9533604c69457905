// Snapshots in place of entries that the leader no longer has (thesis 5).
#include <etcdpp/raft/describe.h>
#include <etcdpp/raft/errc.h>

#include "raft.h"

namespace etcdpp::raft {

bool Raft::maybe_send_snapshot(NodeId to, Progress& progress) {
  if (!progress.recent_active) {
    say_.debug("ignore sending snapshot to {:x} since it is not recently active", to);
    return false;
  }
  auto snapshot = log_.snapshot();
  if (!snapshot) {
    if (snapshot.error().code == Errc::kSnapshotTemporarilyUnavailable)
      say_.debug("{:x} failed to send snapshot to {:x} because snapshot is temporarily unavailable", id_, to);
    else
      say_.error("{:x} failed to send snapshot to {:x}: {}", id_, to, snapshot.error().message());
    return false;
  }
  if ((*snapshot)->empty()) {
    say_.error("{:x} failed to send snapshot to {:x}: storage has none, though its log begins at {}", id_, to, log_.first_index());
    return false;
  }
  const SnapshotMetadata& metadata = (*snapshot)->metadata;
  say_.debug("{:x} [firstindex: {}, commit: {}] sent snapshot[index: {}, term: {}] to {:x} [{}]", id_, log_.first_index(),
             log_.committed(), metadata.index, metadata.term, to, progress.describe());
  progress.become_snapshot(metadata.index);
  say_.debug("{:x} paused sending replication messages to {:x} [{}]", id_, to, progress.describe());
  send({.type = MessageType::kSnap, .to = to, .snapshot = std::move(*snapshot)});
  return true;
}

void Raft::handle_snapshot(const Message& m) {
  const SnapshotMetadata metadata = m.snapshot ? m.snapshot->metadata : SnapshotMetadata{};
  if (m.snapshot && restore(m.snapshot)) {
    say_.info("{:x} [commit: {}] restored snapshot [index: {}, term: {}]", id_, log_.committed(), metadata.index, metadata.term);
    send({.type = MessageType::kAppResp, .to = m.from, .index = log_.last_index()});
  } else {
    say_.info("{:x} [commit: {}] ignored snapshot [index: {}, term: {}]", id_, log_.committed(), metadata.index, metadata.term);
    send({.type = MessageType::kAppResp, .to = m.from, .index = log_.committed()});
  }
}

bool Raft::restore(const std::shared_ptr<const Snapshot>& snapshot) {
  const SnapshotMetadata& metadata = snapshot->metadata;
  if (metadata.index <= log_.committed() && !has_bug(ClassicBug::kSnapshotOfThePast)) return false;
  if (role_ != Role::kFollower) {
    // Cannot be: a leader's messages make candidates followers first.
    say_.warn("{:x} attempted to restore snapshot as leader; should never happen", id_);
    become_follower(term_ + 1, kNone);
    return false;
  }
  const ConfState& state = metadata.conf_state;
  bool member = false;
  for (const auto* ids : {&state.voters, &state.learners, &state.voters_outgoing})
    for (NodeId id : *ids) member |= id == id_;
  if (!member) {
    say_.warn("{:x} attempted to restore snapshot but it is not in the ConfState {}; should never happen", id_, text_form(state));
    return false;
  }
  if (log_.matches({metadata.term, metadata.index})) {
    // We have these entries: only the commit index is news.
    const EntryId last = log_.last_entry_id();
    say_.info("{:x} [commit: {}, lastindex: {}, lastterm: {}] fast-forwarded commit to snapshot [index: {}, term: {}]", id_,
              log_.committed(), last.index, last.term, metadata.index, metadata.term);
    log_.commit_to(metadata.index);
    return false;
  }
  Tracker empty;
  empty.max_inflight_messages = tracker_.max_inflight_messages;
  empty.max_inflight_bytes = tracker_.max_inflight_bytes;
  auto membership = ConfChanger::restore(empty, metadata.index, state);
  if (!membership) {
    say_.error("{:x} refused snapshot [index: {}, term: {}]: {}", id_, metadata.index, metadata.term, membership.error().message());
    return false;
  }
  log_.restore(snapshot);
  snapshot_index_ = metadata.index;
  switch_to(std::move(*membership));
  const EntryId last = log_.last_entry_id();
  say_.info("{:x} [commit: {}, lastindex: {}, lastterm: {}] restored snapshot [index: {}, term: {}]", id_, log_.committed(), last.index,
            last.term, metadata.index, metadata.term);
  return true;
}

void Raft::handle_snapshot_status(const Message& m, Progress& from) {
  if (from.state != ProgressState::kSnapshot) return;
  if (m.reject) {
    // Probing starts where it was before; it must not jump behind a snapshot that never came.
    from.pending_snapshot = 0;
    from.become_probe();
    say_.debug("{:x} snapshot failed, resumed sending replication messages to {:x} [{}]", id_, m.from, from.describe());
  } else {
    from.become_probe();
    say_.debug("{:x} snapshot succeeded, resumed sending replication messages to {:x} [{}]", id_, m.from, from.describe());
  }
  // The next message goes out when the follower answers something, or with the next heartbeat's answer.
  from.append_flow_paused = true;
}

void Raft::handle_unreachable(const Message& m, Progress& from) {
  // What was streamed optimistically is probably lost.
  if (from.state == ProgressState::kReplicate) from.become_probe();
  say_.debug("{:x} failed to send message to {:x} because it is unreachable [{}]", id_, m.from, from.describe());
}

}  // namespace etcdpp::raft
