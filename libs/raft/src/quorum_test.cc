#include "quorum.h"

#include <map>

#include <doctest/doctest.h>

#include <etcdpp/base/random.h>

namespace etcdpp::raft {
namespace {

using Indices = std::map<NodeId, Index>;

/// By the definition: the largest index that more than half of the voters have reached.
Index committed_by_enumeration(const IdSet& voters, const Indices& acked) {
  if (voters.empty()) return std::numeric_limits<Index>::max();
  Index best = 0;
  for (const auto& [ignored, candidate] : acked) {
    std::size_t reached = 0;
    for (NodeId id : voters) reached += acked.contains(id) && acked.at(id) >= candidate;
    if (reached * 2 > voters.size()) best = std::max(best, candidate);
  }
  return best;
}

/// By the definition: won if every way to complete the votes wins, lost if none does.
VoteResult vote_by_enumeration(const JointConfig& voters, const std::map<NodeId, bool>& votes) {
  const std::vector<NodeId> all = voters.ids().ids();
  bool can_win = false;
  bool can_lose = false;
  for (unsigned mask = 0; mask < 1u << all.size(); ++mask) {
    bool consistent = true;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (votes.contains(all[i]) && votes.at(all[i]) != ((mask >> i & 1) != 0)) consistent = false;
    if (!consistent) continue;
    bool won = true;
    for (const IdSet* half : {&voters.incoming, &voters.outgoing}) {
      std::size_t yes = 0;
      for (std::size_t i = 0; i < all.size(); ++i) yes += half->contains(all[i]) && (mask >> i & 1);
      won &= half->empty() || yes * 2 > half->size();
    }
    (won ? can_win : can_lose) = true;
  }
  return !can_lose ? VoteResult::kWon : !can_win ? VoteResult::kLost : VoteResult::kPending;
}

IdSet random_ids(base::Random& random) {
  std::vector<NodeId> ids;
  for (NodeId id = 1; id <= 7; ++id)
    if (random.one_in(2)) ids.push_back(id);
  return IdSet(ids);
}

TEST_CASE("quorum: committed index and votes agree with enumeration") {
  base::Random random(7);
  for (int round = 0; round < 3000; ++round) {
    const JointConfig voters{random_ids(random), random.one_in(2) ? IdSet{} : random_ids(random)};
    Indices acked;
    std::map<NodeId, bool> votes;
    for (NodeId id = 1; id <= 7; ++id) {
      if (!random.one_in(4)) acked[id] = 1 + random.below(9);
      if (!random.one_in(3)) votes[id] = random.one_in(2);
    }
    const auto index_of = [&](NodeId id) { return acked.contains(id) ? std::optional(acked[id]) : std::nullopt; };
    const auto vote_of = [&](NodeId id) { return votes.contains(id) ? std::optional(votes[id]) : std::nullopt; };
    CHECK(committed_index(voters, index_of) ==
          std::min(committed_by_enumeration(voters.incoming, acked), committed_by_enumeration(voters.outgoing, acked)));
    CHECK(vote_result(voters, vote_of) == vote_by_enumeration(voters, votes));
  }
}

TEST_CASE("quorum: more voters than fit the small buffer") {
  std::vector<NodeId> many;
  for (NodeId id = 1; id <= 21; ++id) many.push_back(id);
  CHECK(committed_index(IdSet(many), [](NodeId id) { return std::optional<Index>(id); }) == 11);
}

TEST_CASE("quorum: sets print sorted") {
  CHECK(IdSet{3, 1, 2, 3}.describe() == "(1 2 3)");
  CHECK(JointConfig{{1, 2}, {3}}.describe() == "(1 2)&&(3)");
}

}  // namespace
}  // namespace etcdpp::raft
