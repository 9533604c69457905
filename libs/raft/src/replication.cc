// How a leader's log reaches its followers, and when it is committed (thesis 3.5, 3.6; hops 5, 8 and 9 of a Put).
#include "raft.h"

namespace etcdpp::raft {

bool Raft::append_entries(std::vector<Entry> entries) {
  if (!increase_uncommitted(entries)) {
    say_.warn("{:x} appending new entries to log would exceed uncommitted entry size limit; dropping proposal", id_);
    return false;
  }
  Index index = log_.last_index();
  for (Entry& entry : entries) {
    entry.term = term_;
    entry.index = ++index;
  }
  log_.append(entries);
  // Our own acknowledgement comes with our own disk's, like everybody's.
  send({.type = MessageType::kAppResp, .to = id_, .index = index});
  return true;
}

bool Raft::increase_uncommitted(std::span<const Entry> entries) {
  const std::uint64_t size = payload_size(entries);
  // One proposal always fits, however large; entries without payload always do (they must, see become_leader).
  if (uncommitted_size_ > 0 && size > 0 && uncommitted_size_ + size > max_uncommitted_size_) return false;
  uncommitted_size_ += size;
  return true;
}

void Raft::broadcast_append() {
  for (const auto& [id, progress] : tracker_.progress)
    if (id != id_) send_append(id);
}

bool Raft::maybe_send_append(NodeId to, bool send_if_empty) {
  Progress* progress = tracker_.progress.find(to);
  if (!progress || progress->paused()) return false;

  const Index previous = progress->next - 1;
  const auto previous_term = log_.term(previous);
  // Its place in our log is compacted: entries cannot help, a snapshot can.
  if (!previous_term) return maybe_send_snapshot(to, *progress);

  std::vector<Entry> entries;
  // Into a full window only empty messages go: they carry the commit index, and their answer opens it again.
  if (progress->state != ProgressState::kReplicate || !progress->inflights.full()) {
    if (!log_.entries(progress->next, max_message_size_, entries)) return maybe_send_snapshot(to, *progress);
  }
  if (entries.empty() && !send_if_empty) return false;

  const std::size_t count = entries.size();
  const std::uint64_t bytes = payload_size(entries);
  send({.type = MessageType::kApp, .to = to, .log_term = *previous_term, .index = previous, .entries = std::move(entries),
        .commit = log_.committed()});
  progress->sent_entries(count, bytes);
  progress->sent_commit = log_.committed();
  return true;
}

void Raft::broadcast_heartbeat() {
  const base::Bytes context = read_only_.heartbeat_context();
  for (auto& [id, progress] : tracker_.progress)
    if (id != id_) send_heartbeat(id, progress, context);
}

void Raft::send_heartbeat(NodeId to, Progress& progress, const base::Bytes& context) {
  // Never beyond what this follower is known to have: the rest of its log may differ from ours.
  const Index commit = has_bug(ClassicBug::kHeartbeatCommitUnchecked) ? log_.committed() : std::min(progress.match, log_.committed());
  send({.type = MessageType::kHeartbeat, .to = to, .commit = commit, .context = context});
  progress.sent_commit = commit;
}

void Raft::handle_append_response(const Message& m, Progress& from) {
  from.recent_active = true;
  if (m.reject) {
    say_.debug("{:x} received MsgAppResp(rejected, hint: (index {}, term {})) from {:x} for index {}", id_, m.reject_hint, m.log_term,
               m.from, m.index);
    // The follower's log at the hint has the hint's term; ours can match no later than where our term is at most that.
    // Each side skips the terms that the other cannot have, so probing takes a message per term, not per entry.
    Index match_hint = m.reject_hint;
    if (m.log_term > 0) match_hint = log_.find_conflict_by_term(m.reject_hint, m.log_term).index;
    if (!from.maybe_decrease_to(m.index, match_hint)) return;
    say_.debug("{:x} decreased progress of {:x} to [{}]", id_, m.from, from.describe());
    if (from.state == ProgressState::kReplicate) from.become_probe();
    send_append(m.from);
    return;
  }
  if (m.index > log_.last_index()) {
    say_.warn("{:x} ignored MsgAppResp from {:x} for index {} beyond the log's last {}", id_, m.from, m.index, log_.last_index());
    return;
  }
  // Either it is news, or it is the answer that a probe waited for.
  if (!from.maybe_update(m.index) && !(from.match == m.index && from.state == ProgressState::kProbe)) return;
  if (from.state == ProgressState::kProbe) {
    from.become_replicate();
  } else if (from.state == ProgressState::kSnapshot && from.match + 1 >= log_.first_index()) {
    // The rest is in our log, whether or not it is the snapshot we sent that brought it there.
    say_.debug("{:x} recovered from needing snapshot, resumed sending replication messages to {:x} [{}]", id_, m.from, from.describe());
    from.become_probe();
    from.become_replicate();
  } else if (from.state == ProgressState::kReplicate) {
    from.inflights.free_up_to(m.index);
  }

  if (maybe_commit()) {
    // Something of this term is committed: reads that waited for that may start.
    release_postponed_reads();
    broadcast_append();
  } else if (m.from != id_ && from.can_bump_commit(log_.committed())) {
    // Heartbeats carry the commit index too, but later.
    send_append(m.from);
  }
  // The window may have opened for several messages.
  if (m.from != id_)
    while (maybe_send_append(m.from, false)) {
    }
  if (m.from == lead_transferee_ && from.match == log_.last_index()) {
    say_.info("{:x} sent MsgTimeoutNow to {:x} after received MsgAppResp", id_, m.from);
    send_timeout_now(m.from);
  }
}

bool Raft::maybe_commit() {
  const Index index = tracker_.committed();
  const Term term = has_bug(ClassicBug::kCommitOlderTermByCounting) ? log_.term(index).value_or(0) : term_;
  return log_.maybe_commit({term, index});
}

}  // namespace etcdpp::raft
