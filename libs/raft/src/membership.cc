// Committed conf changes take effect (thesis 4).
#include "raft.h"

namespace etcdpp::raft {

base::Result<ConfState> Raft::apply_conf_change(const ConfChangeV2& change, Index index) {
  if (index != 0 && index <= snapshot_index_) return tracker_.membership.conf_state();
  ETCDPP_ASSIGN(ConfChanger::Outcome next, ConfChanger(tracker_, log_.last_index()).change(change));
  return switch_to(std::move(next));
}

ConfState Raft::switch_to(ConfChanger::Outcome next) {
  tracker_.membership = std::move(next.membership);
  tracker_.progress = std::move(next.progress);
  say_.info("{:x} switched to configuration {}", id_, tracker_.membership.describe());
  ConfState state = tracker_.membership.conf_state();

  const Progress* self = tracker_.progress.find(id_);
  is_learner_ = self && self->is_learner;
  if (role_ == Role::kLeader && (!self || is_learner_)) {
    // Removed or demoted. By default it goes on leading without counting itself until somebody else takes over.
    if (step_down_on_removal_) become_follower(term_, kNone);
    return state;
  }
  if (role_ != Role::kLeader || state.voters.empty()) return state;

  if (maybe_commit()) {
    // The new quorum has more than the old one had.
    release_postponed_reads();
    broadcast_append();
  } else {
    // New members are probed at once, not with the next proposal or heartbeat.
    for (const auto& [id, progress] : tracker_.progress)
      if (id != id_) maybe_send_append(id, false);
  }
  if (lead_transferee_ != kNone && !tracker_.membership.voters.contains(lead_transferee_)) abort_transfer();
  return state;
}

}  // namespace etcdpp::raft
