#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <etcdpp/raft/types.h>

#include "progress.h"
#include "quorum.h"

namespace etcdpp::raft {

/// The membership in force: voters (two halves while joint), learners, and voters of the outgoing half that become
/// learners when the joint configuration is left.
struct Membership {
  JointConfig voters;
  bool auto_leave = false;
  IdSet learners;
  IdSet learners_next;

  /// "voters=(1 2)&&(1) learners=(3) learners_next=(2) autoleave".
  std::string describe() const;
  ConfState conf_state() const;

  friend bool operator==(const Membership&, const Membership&) = default;
};

/// The progress of every member, ordered by id.
class ProgressMap {
 public:
  Progress* find(NodeId id);
  const Progress* find(NodeId id) const { return const_cast<ProgressMap*>(this)->find(id); }
  void put(NodeId id, Progress progress);
  void erase(NodeId id);
  bool empty() const { return members_.empty(); }
  auto begin() { return members_.begin(); }
  auto end() { return members_.end(); }
  auto begin() const { return members_.begin(); }
  auto end() const { return members_.end(); }

  /// A line per member.
  std::string describe() const;

 private:
  std::vector<std::pair<NodeId, Progress>> members_;
};

/// Membership, progress and the votes of the present campaign.
class Tracker {
 public:
  Membership membership;
  ProgressMap progress;
  std::size_t max_inflight_messages = 0;
  std::uint64_t max_inflight_bytes = 0;

  Inflights new_inflights() const { return {max_inflight_messages, max_inflight_bytes}; }

  bool is_sole_voter(NodeId id) const {
    return membership.voters.incoming.size() == 1 && !membership.voters.joint() && membership.voters.contains(id);
  }
  /// The highest index that the voters' quorums have acknowledged.
  Index committed() const;
  /// A quorum answered since the marks were last cleared.
  bool quorum_active() const;

  void reset_votes() { votes_.clear(); }
  /// The first vote of a node counts.
  void record_vote(NodeId id, bool granted);
  struct Tally {
    std::size_t granted = 0;
    std::size_t rejected = 0;
    VoteResult result = VoteResult::kPending;
  };
  Tally tally_votes() const;

 private:
  std::optional<bool> vote_of(NodeId id) const;

  std::vector<std::pair<NodeId, bool>> votes_;
};

}  // namespace etcdpp::raft
