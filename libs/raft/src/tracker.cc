#include "tracker.h"

#include <algorithm>

#include "classic_bugs.h"

namespace etcdpp::raft {

std::string Membership::describe() const {
  std::string out = "voters=" + voters.describe();
  if (!learners.empty()) out += " learners=" + learners.describe();
  if (!learners_next.empty()) out += " learners_next=" + learners_next.describe();
  if (auto_leave) out += " autoleave";
  return out;
}

ConfState Membership::conf_state() const {
  return {.voters = voters.incoming.ids(),
          .learners = learners.ids(),
          .voters_outgoing = voters.outgoing.ids(),
          .learners_next = learners_next.ids(),
          .auto_leave = auto_leave};
}

namespace {
constexpr auto kById = [](const std::pair<NodeId, Progress>& member, NodeId id) { return member.first < id; };
}

Progress* ProgressMap::find(NodeId id) {
  auto at = std::lower_bound(members_.begin(), members_.end(), id, kById);
  return at != members_.end() && at->first == id ? &at->second : nullptr;
}

void ProgressMap::put(NodeId id, Progress progress) {
  auto at = std::lower_bound(members_.begin(), members_.end(), id, kById);
  if (at != members_.end() && at->first == id) at->second = std::move(progress);
  else members_.emplace(at, id, std::move(progress));
}

void ProgressMap::erase(NodeId id) {
  auto at = std::lower_bound(members_.begin(), members_.end(), id, kById);
  if (at != members_.end() && at->first == id) members_.erase(at);
}

std::string ProgressMap::describe() const {
  std::string out;
  for (const auto& [id, progress] : members_) out += std::to_string(id) + ": " + progress.describe() + "\n";
  return out;
}

Index Tracker::committed() const {
  const auto match_of = [this](NodeId id) -> std::optional<Index> {
    const Progress* member = progress.find(id);
    return member ? std::optional(member->match) : std::nullopt;
  };
  if (has_bug(ClassicBug::kOutgoingHalfIgnored)) return committed_index(membership.voters.incoming, match_of);
  if (has_bug(ClassicBug::kLearnersCount)) {
    IdSet everybody;
    for (const auto& [id, member] : progress) everybody.insert(id);
    return committed_index(everybody, match_of);
  }
  return committed_index(membership.voters, match_of);
}

bool Tracker::quorum_active() const {
  return vote_result(membership.voters, [this](NodeId id) -> std::optional<bool> {
           const Progress* member = progress.find(id);
           return member && member->recent_active;
         }) == VoteResult::kWon;
}

void Tracker::record_vote(NodeId id, bool granted) {
  if (!vote_of(id)) votes_.emplace_back(id, granted);
}

std::optional<bool> Tracker::vote_of(NodeId id) const {
  for (const auto& [voter, granted] : votes_)
    if (voter == id) return granted;
  return std::nullopt;
}

Tracker::Tally Tracker::tally_votes() const {
  Tally tally;
  // Answers of nodes that are no voters here do not count, and are not shown either.
  for (const auto& [id, member] : progress) {
    if (member.is_learner) continue;
    if (const auto vote = vote_of(id)) ++(*vote ? tally.granted : tally.rejected);
  }
  const auto vote = [this](NodeId id) { return vote_of(id); };
  tally.result = has_bug(ClassicBug::kOutgoingHalfIgnored) ? vote_result(membership.voters.incoming, vote) : vote_result(membership.voters, vote);
  return tally;
}

}  // namespace etcdpp::raft
