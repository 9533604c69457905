#pragma once

#include <span>

#include <etcdpp/base/result.h>
#include <etcdpp/raft/types.h>

#include "tracker.h"

namespace etcdpp::raft {

/// Works out the membership after a change, without touching the one in force (thesis chapter 4).
///
/// Pure. Errors: kBadConfChange with the reason as its context; nothing is changed then.
class ConfChanger {
 public:
  struct Outcome {
    Membership membership;
    ProgressMap progress;
  };

  /// New members are probed from `last_index`.
  ConfChanger(const Tracker& tracker, Index last_index) : tracker_(tracker), last_index_(last_index) {}

  /// Changes at most one voter.
  base::Result<Outcome> simple(std::span<const ConfChangeSingle> changes) const;
  /// Both the old and the new voters decide from here on.
  base::Result<Outcome> enter_joint(bool auto_leave, std::span<const ConfChangeSingle> changes) const;
  /// Only the new voters decide.
  base::Result<Outcome> leave_joint() const;
  /// Whichever of the three the change asks for.
  base::Result<Outcome> change(const ConfChangeV2& change) const;

  /// The membership that a snapshot or a restarted storage names, for a tracker without any.
  static base::Result<Outcome> restore(const Tracker& empty, Index last_index, const ConfState& state);

 private:
  void init_progress(Outcome& next, NodeId id, bool is_learner) const;
  void make_voter(Outcome& next, NodeId id) const;
  void make_learner(Outcome& next, NodeId id) const;
  void remove(Outcome& next, NodeId id) const;
  base::Result<> apply(Outcome& next, std::span<const ConfChangeSingle> changes) const;

  const Tracker& tracker_;
  const Index last_index_;
};

/// Leaving: transition kAuto without changes. Entering: a joint transition, or more than one change.
bool leaves_joint(const ConfChangeV2& change);

}  // namespace etcdpp::raft
