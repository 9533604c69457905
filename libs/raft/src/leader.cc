// What leaders do: take proposals, keep followers, hand over.
#include <etcdpp/raft/conf_change_codec.h>
#include <etcdpp/raft/describe.h>
#include <etcdpp/raft/errc.h>

#include "raft.h"

namespace etcdpp::raft {

namespace {
/// Entry types that a proposal may have; anything else is not etcd's.
bool known(EntryType type) {
  return type == EntryType::kNormal || type == EntryType::kConfChange || type == EntryType::kConfChangeV2;
}
}  // namespace

base::Result<> Raft::step_leader(Message& m) {
  switch (m.type) {
    case MessageType::kBeat: broadcast_heartbeat(); return {};
    case MessageType::kCheckQuorum: check_quorum(); return {};
    case MessageType::kProp: return handle_proposal(m);
    case MessageType::kReadIndex: handle_read_index(m); return {};
    default: break;
  }
  Progress* from = tracker_.progress.find(m.from);
  if (m.type == MessageType::kForgetLeader) return {};
  if (!from) {
    say_.debug("{:x} no progress available for {:x}", id_, m.from);
    return {};
  }
  switch (m.type) {
    case MessageType::kAppResp: handle_append_response(m, *from); return {};
    case MessageType::kHeartbeatResp: handle_heartbeat_response(m, *from); return {};
    case MessageType::kSnapStatus: handle_snapshot_status(m, *from); return {};
    case MessageType::kUnreachable: handle_unreachable(m, *from); return {};
    case MessageType::kTransferLeader: handle_transfer(m, *from); return {};
    default: return {};
  }
}

base::Result<> Raft::handle_proposal(Message& m) {
  // Removed while leading: nothing new until somebody else leads.
  if (!tracker_.progress.find(id_)) return base::Error(Errc::kProposalDropped);
  if (lead_transferee_ != kNone) {
    say_.debug("{:x} [term {}] transfer leadership to {:x} is in progress; dropping proposal", id_, term_, lead_transferee_);
    return base::Error(Errc::kProposalDropped);
  }
  for (std::size_t i = 0; i < m.entries.size(); ++i) {
    Entry& entry = m.entries[i];
    if (entry.type == EntryType::kNormal) continue;
    const auto change = known(entry.type) ? decode_conf_change(entry) : base::Error(Errc::kBadConfChange, "unknown entry type");
    if (!change) {
      // It came from outside, or from a broken proposer: nobody could ever apply it.
      say_.warn("{:x} dropping proposal: {}", id_, change.error().message());
      return base::Error(Errc::kProposalDropped, change.error().message());
    }
    const std::string obstacle = conf_change_obstacle(change->changes.empty());
    if (!obstacle.empty() && !disable_conf_change_validation_) {
      say_.info("{:x} ignoring conf change {} at config {}: {}", id_, entry.data.empty() ? "" : describe(*change),
                tracker_.membership.describe(), obstacle);
      entry = {};
    } else {
      pending_conf_index_ = log_.last_index() + i + 1;
    }
  }
  // Dropped here, a conf change still counts as pending until the log has passed its place; so it is in etcd.
  if (!append_entries(std::move(m.entries))) return base::Error(Errc::kProposalDropped);
  broadcast_append();
  return {};
}

std::string Raft::conf_change_obstacle(bool leaves_joint) const {
  if (pending_conf_index_ > log_.applied() && !has_bug(ClassicBug::kConfChangeWhilePending))
    return fmt::format("possible unapplied conf change at index {} (applied to {})", pending_conf_index_, log_.applied());
  const bool joint = tracker_.membership.voters.joint();
  if (joint && !leaves_joint) return "must transition out of joint config first";
  if (!joint && leaves_joint) return "not in joint state; refusing empty conf change";
  return {};
}

void Raft::tick_heartbeat() {
  ++heartbeat_elapsed_;
  ++election_elapsed_;
  if (election_elapsed_ >= election_ticks_) {
    election_elapsed_ = 0;
    if (check_quorum_) check_quorum();
    // The transferee had an election timeout to take over; go on leading.
    if (role_ == Role::kLeader && lead_transferee_ != kNone) abort_transfer();
  }
  if (role_ != Role::kLeader) return;
  if (heartbeat_elapsed_ >= heartbeat_ticks_) {
    heartbeat_elapsed_ = 0;
    broadcast_heartbeat();
  }
}

void Raft::check_quorum() {
  if (!tracker_.quorum_active()) {
    say_.warn("{:x} stepped down to follower since quorum is not active", id_);
    become_follower(term_, kNone);
  }
  for (auto& [id, progress] : tracker_.progress)
    if (id != id_) progress.recent_active = false;
}

void Raft::handle_heartbeat_response(const Message& m, Progress& from) {
  from.recent_active = true;
  from.append_flow_paused = false;
  // With a full window this sends an empty append: should all that filled the window be lost, its answer opens it again.
  // And a probed follower that has everything gets one too, so that its answer makes it a replicating one.
  if (from.match < log_.last_index() || from.state == ProgressState::kProbe) send_append(m.from);
  if (read_only_option_ != ReadOnlyOption::kSafe || m.context.empty()) return;
  read_only_.acknowledge(m.from, m.context);
  take_confirmed_reads();
}

void Raft::handle_transfer(const Message& m, const Progress& transferee) {
  if (transferee.is_learner) return say_.debug("{:x} is learner. Ignored transferring leadership", id_);
  const NodeId to = m.from;
  if (lead_transferee_ != kNone) {
    if (lead_transferee_ == to)
      return say_.info("{:x} [term {}] transfer leadership to {:x} is in progress, ignores request to same node {:x}", id_, term_, to, to);
    const NodeId previous = lead_transferee_;
    abort_transfer();
    say_.info("{:x} [term {}] abort previous transferring leadership to {:x}", id_, term_, previous);
  }
  if (to == id_) return say_.debug("{:x} is already leader. Ignored transferring leadership to self", id_);
  say_.info("{:x} [term {}] starts to transfer leadership to {:x}", id_, term_, to);
  // It is to be over within an election timeout.
  election_elapsed_ = 0;
  lead_transferee_ = to;
  if (transferee.match == log_.last_index()) {
    send_timeout_now(to);
    say_.info("{:x} sends MsgTimeoutNow to {:x} immediately as {:x} already has up-to-date log", id_, to, to);
  } else {
    send_append(to);
  }
}

void Raft::send_timeout_now(NodeId to) { send({.type = MessageType::kTimeoutNow, .to = to}); }

}  // namespace etcdpp::raft
