#include "conf_changer.h"

#include <algorithm>

#include <etcdpp/raft/errc.h>

namespace etcdpp::raft {

namespace {

/// No cluster is near this; a snapshot that claims more is an attack on our time.
constexpr std::size_t kMaxMembers = 1024;

base::Error refuse(std::string why) { return {Errc::kBadConfChange, std::move(why)}; }

/// Every member has a progress; learners and voters are disjoint; only a joint configuration has learners-to-be.
base::Result<> check(const ConfChanger::Outcome& next) {
  const Membership& m = next.membership;
  for (NodeId id : m.voters.ids())
    if (!next.progress.find(id)) return refuse("no progress for " + std::to_string(id));
  for (const IdSet* learners : {&m.learners, &m.learners_next})
    for (NodeId id : *learners)
      if (!next.progress.find(id)) return refuse("no progress for " + std::to_string(id));
  for (NodeId id : m.learners_next) {
    if (!m.voters.outgoing.contains(id)) return refuse(std::to_string(id) + " is in LearnersNext, but not Voters[1]");
    if (next.progress.find(id)->is_learner)
      return refuse(std::to_string(id) + " is in LearnersNext, but is already marked as learner");
  }
  for (NodeId id : m.learners) {
    if (m.voters.outgoing.contains(id)) return refuse(std::to_string(id) + " is in Learners and Voters[1]");
    if (m.voters.incoming.contains(id)) return refuse(std::to_string(id) + " is in Learners and Voters[0]");
    if (!next.progress.find(id)->is_learner) return refuse(std::to_string(id) + " is in Learners, but is not marked as learner");
  }
  if (!m.voters.joint()) {
    if (!m.learners_next.empty()) return refuse("cfg.LearnersNext must be nil when not joint");
    if (m.auto_leave) return refuse("AutoLeave must be false when not joint");
  }
  return {};
}

base::Result<ConfChanger::Outcome> checked(ConfChanger::Outcome next) {
  ETCDPP_TRY(check(next));
  return next;
}

std::size_t symmetric_difference(const IdSet& a, const IdSet& b) {
  std::size_t n = 0;
  for (NodeId id : a) n += !b.contains(id);
  for (NodeId id : b) n += !a.contains(id);
  return n;
}

}  // namespace

bool leaves_joint(const ConfChangeV2& change) {
  return change.transition == ConfChangeTransition::kAuto && change.changes.empty();
}

base::Result<ConfChanger::Outcome> ConfChanger::change(const ConfChangeV2& change) const {
  if (leaves_joint(change)) return leave_joint();
  if (change.transition != ConfChangeTransition::kAuto || change.changes.size() > 1)
    return enter_joint(change.transition != ConfChangeTransition::kJointExplicit, change.changes);
  return simple(change.changes);
}

base::Result<ConfChanger::Outcome> ConfChanger::simple(std::span<const ConfChangeSingle> changes) const {
  Outcome next{tracker_.membership, tracker_.progress};
  ETCDPP_TRY(check(next));
  if (next.membership.voters.joint()) return refuse("can't apply simple config change in joint config");
  ETCDPP_TRY(apply(next, changes));
  if (symmetric_difference(tracker_.membership.voters.incoming, next.membership.voters.incoming) > 1)
    return refuse("more than one voter changed without entering joint config");
  return checked(std::move(next));
}

base::Result<ConfChanger::Outcome> ConfChanger::enter_joint(bool auto_leave, std::span<const ConfChangeSingle> changes) const {
  Outcome next{tracker_.membership, tracker_.progress};
  ETCDPP_TRY(check(next));
  if (next.membership.voters.joint()) return refuse("config is already joint");
  // A configuration without voters commits everything at once, so nothing could be decided jointly with it.
  if (next.membership.voters.incoming.empty()) return refuse("can't make a zero-voter config joint");
  next.membership.voters.outgoing = next.membership.voters.incoming;
  ETCDPP_TRY(apply(next, changes));
  next.membership.auto_leave = auto_leave;
  return checked(std::move(next));
}

base::Result<ConfChanger::Outcome> ConfChanger::leave_joint() const {
  Outcome next{tracker_.membership, tracker_.progress};
  ETCDPP_TRY(check(next));
  Membership& m = next.membership;
  if (!m.voters.joint()) return refuse("can't leave a non-joint config");
  for (NodeId id : m.learners_next) {
    m.learners.insert(id);
    next.progress.find(id)->is_learner = true;
  }
  m.learners_next.clear();
  for (NodeId id : m.voters.outgoing)
    if (!m.voters.incoming.contains(id) && !m.learners.contains(id)) next.progress.erase(id);
  m.voters.outgoing.clear();
  m.auto_leave = false;
  return checked(std::move(next));
}

base::Result<> ConfChanger::apply(Outcome& next, std::span<const ConfChangeSingle> changes) const {
  for (const ConfChangeSingle& change : changes) {
    // Node id zero is a change that the application refused when it was committed.
    if (change.node_id == kNone) continue;
    switch (change.type) {
      case ConfChangeType::kAddNode: make_voter(next, change.node_id); break;
      case ConfChangeType::kAddLearnerNode: make_learner(next, change.node_id); break;
      case ConfChangeType::kRemoveNode: remove(next, change.node_id); break;
      case ConfChangeType::kUpdateNode: break;
      default: return refuse("unexpected conf type " + std::to_string(static_cast<int>(change.type)));
    }
  }
  if (next.membership.voters.incoming.empty()) return refuse("removed all voters");
  return {};
}

void ConfChanger::init_progress(Outcome& next, NodeId id, bool is_learner) const {
  if (is_learner) next.membership.learners.insert(id);
  else next.membership.voters.incoming.insert(id);
  Progress progress;
  // Probing starts at the end of our log, not at its beginning: a new member gets a snapshot soon enough.
  progress.next = std::max<Index>(last_index_, 1);
  progress.inflights = tracker_.new_inflights();
  progress.is_learner = is_learner;
  // Just added is as good as just heard of: check-quorum gives it an election timeout.
  progress.recent_active = true;
  next.progress.put(id, std::move(progress));
}

void ConfChanger::make_voter(Outcome& next, NodeId id) const {
  Progress* progress = next.progress.find(id);
  if (!progress) return init_progress(next, id, false);
  progress->is_learner = false;
  next.membership.learners.erase(id);
  next.membership.learners_next.erase(id);
  next.membership.voters.incoming.insert(id);
}

void ConfChanger::make_learner(Outcome& next, NodeId id) const {
  Progress* progress = next.progress.find(id);
  if (!progress) return init_progress(next, id, true);
  if (progress->is_learner) return;
  Progress kept = *progress;
  remove(next, id);
  // A voter of the outgoing half stays one until the joint configuration is left.
  if (next.membership.voters.outgoing.contains(id)) {
    next.membership.learners_next.insert(id);
  } else {
    kept.is_learner = true;
    next.membership.learners.insert(id);
  }
  next.progress.put(id, std::move(kept));
}

void ConfChanger::remove(Outcome& next, NodeId id) const {
  if (!next.progress.find(id)) return;
  next.membership.voters.incoming.erase(id);
  next.membership.learners.erase(id);
  next.membership.learners_next.erase(id);
  if (!next.membership.voters.outgoing.contains(id)) next.progress.erase(id);
}

base::Result<ConfChanger::Outcome> ConfChanger::restore(const Tracker& empty, Index last_index, const ConfState& state) {
  if (state.voters.size() + state.learners.size() + state.voters_outgoing.size() + state.learners_next.size() > kMaxMembers)
    return base::Error(Errc::kBadConfState, "more than " + std::to_string(kMaxMembers) + " members");
  Tracker built = empty;
  const auto take = [&](base::Result<Outcome> next) -> base::Result<> {
    if (!next) return base::Error(Errc::kBadConfState, next.error().context);
    built.membership = std::move(next->membership);
    built.progress = std::move(next->progress);
    return {};
  };
  const auto one_by_one = [&](ConfChangeType type, const std::vector<NodeId>& ids) -> base::Result<> {
    for (NodeId id : ids) {
      const ConfChangeSingle change{type, id};
      ETCDPP_TRY(take(ConfChanger(built, last_index).simple({&change, 1})));
    }
    return {};
  };

  // The outgoing voters first as if they were all; then everything that led from there to the present state.
  if (state.voters_outgoing.empty()) {
    ETCDPP_TRY(one_by_one(ConfChangeType::kAddNode, state.voters));
    ETCDPP_TRY(one_by_one(ConfChangeType::kAddLearnerNode, state.learners));
    ETCDPP_TRY(one_by_one(ConfChangeType::kAddLearnerNode, state.learners_next));
  } else {
    ETCDPP_TRY(one_by_one(ConfChangeType::kAddNode, state.voters_outgoing));
    std::vector<ConfChangeSingle> changes;
    for (NodeId id : state.voters_outgoing) changes.push_back({ConfChangeType::kRemoveNode, id});
    for (NodeId id : state.voters) changes.push_back({ConfChangeType::kAddNode, id});
    for (NodeId id : state.learners) changes.push_back({ConfChangeType::kAddLearnerNode, id});
    for (NodeId id : state.learners_next) changes.push_back({ConfChangeType::kAddLearnerNode, id});
    ETCDPP_TRY(take(ConfChanger(built, last_index).enter_joint(state.auto_leave, changes)));
  }

  ConfState wanted = state;
  for (auto* ids : {&wanted.voters, &wanted.learners, &wanted.voters_outgoing, &wanted.learners_next})
    std::sort(ids->begin(), ids->end());
  if (built.membership.conf_state() != wanted)
    return base::Error(Errc::kBadConfState, "conf state contradicts itself: " + built.membership.describe());
  return Outcome{std::move(built.membership), std::move(built.progress)};
}

}  // namespace etcdpp::raft
