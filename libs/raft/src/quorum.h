#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <etcdpp/raft/types.h>

namespace etcdpp::raft {

/// A small sorted set of node ids.
class IdSet {
 public:
  IdSet() = default;
  IdSet(std::initializer_list<NodeId> ids) : IdSet(std::vector<NodeId>(ids)) {}
  explicit IdSet(std::vector<NodeId> ids) : ids_(std::move(ids)) {
    std::sort(ids_.begin(), ids_.end());
    ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());
  }

  bool contains(NodeId id) const { return std::binary_search(ids_.begin(), ids_.end(), id); }
  void insert(NodeId id) {
    auto at = std::lower_bound(ids_.begin(), ids_.end(), id);
    if (at == ids_.end() || *at != id) ids_.insert(at, id);
  }
  void erase(NodeId id) {
    auto at = std::lower_bound(ids_.begin(), ids_.end(), id);
    if (at != ids_.end() && *at == id) ids_.erase(at);
  }
  void clear() { ids_.clear(); }
  bool empty() const { return ids_.empty(); }
  std::size_t size() const { return ids_.size(); }
  auto begin() const { return ids_.begin(); }
  auto end() const { return ids_.end(); }
  const std::vector<NodeId>& ids() const { return ids_; }

  /// "(1 2 3)".
  std::string describe() const;

  friend bool operator==(const IdSet&, const IdSet&) = default;

 private:
  std::vector<NodeId> ids_;
};

enum class VoteResult { kPending, kLost, kWon };
const char* to_string(VoteResult result);

/// The largest index that a majority of `voters` has acknowledged: sort the match indices, take the one that a majority
/// reaches (hop 9 of a Put). Without voters everything is committed, which makes the empty half of a joint quorum neutral.
/// `acked(id)` gives a std::optional<Index>; nothing counts as 0.
template <typename Acked>
Index committed_index(const IdSet& voters, Acked&& acked) {
  const std::size_t n = voters.size();
  if (n == 0) return std::numeric_limits<Index>::max();
  std::array<Index, 8> few;
  std::vector<Index> many;
  Index* indices = few.data();
  if (n > few.size()) {
    many.resize(n);
    indices = many.data();
  }
  std::size_t at = 0;
  for (NodeId id : voters) indices[at++] = acked(id).value_or(0);
  std::sort(indices, indices + n);
  return indices[n - (n / 2 + 1)];
}

/// Whether yes votes of a majority are there, still possible, or not. `vote(id)` gives a std::optional<bool>.
template <typename Vote>
VoteResult vote_result(const IdSet& voters, Vote&& vote) {
  const std::size_t n = voters.size();
  if (n == 0) return VoteResult::kWon;
  std::size_t yes = 0;
  std::size_t missing = 0;
  for (NodeId id : voters) {
    const std::optional<bool> cast = vote(id);
    if (!cast) ++missing;
    else if (*cast) ++yes;
  }
  const std::size_t majority = n / 2 + 1;
  if (yes >= majority) return VoteResult::kWon;
  return yes + missing >= majority ? VoteResult::kPending : VoteResult::kLost;
}

/// Two majorities that must both agree while the membership changes (thesis 4.3); outgoing is empty otherwise.
struct JointConfig {
  IdSet incoming;
  IdSet outgoing;

  bool joint() const { return !outgoing.empty(); }
  bool contains(NodeId id) const { return incoming.contains(id) || outgoing.contains(id); }
  /// The members of either half.
  IdSet ids() const;
  /// "(1 2)" or "(1 2)&&(2 3)".
  std::string describe() const;

  friend bool operator==(const JointConfig&, const JointConfig&) = default;
};

template <typename Acked>
Index committed_index(const JointConfig& voters, Acked&& acked) {
  return std::min(committed_index(voters.incoming, acked), committed_index(voters.outgoing, acked));
}

template <typename Vote>
VoteResult vote_result(const JointConfig& voters, Vote&& vote) {
  const VoteResult a = vote_result(voters.incoming, vote);
  const VoteResult b = vote_result(voters.outgoing, vote);
  if (a == b) return a;
  if (a == VoteResult::kLost || b == VoteResult::kLost) return VoteResult::kLost;
  return VoteResult::kPending;
}

}  // namespace etcdpp::raft
