#include "quorum.h"

namespace etcdpp::raft {

std::string IdSet::describe() const {
  std::string out = "(";
  for (NodeId id : ids_) {
    if (out.size() > 1) out += ' ';
    out += std::to_string(id);
  }
  return out + ")";
}

const char* to_string(VoteResult result) {
  switch (result) {
    case VoteResult::kPending: return "VotePending";
    case VoteResult::kLost: return "VoteLost";
    case VoteResult::kWon: return "VoteWon";
  }
  return "?";
}

IdSet JointConfig::ids() const {
  std::vector<NodeId> all = incoming.ids();
  all.insert(all.end(), outgoing.begin(), outgoing.end());
  return IdSet(std::move(all));
}

std::string JointConfig::describe() const {
  return outgoing.empty() ? incoming.describe() : incoming.describe() + "&&" + outgoing.describe();
}

}  // namespace etcdpp::raft
