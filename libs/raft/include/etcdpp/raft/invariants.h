#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <etcdpp/raft/raw_node.h>

namespace etcdpp::raft {

/// What holds of one node at any time: applied ≤ applying ≤ committed ≤ last index, a leader knows itself, match < next,
/// terms of the log never fall. The first violation as a sentence, or empty. Pure; costs a walk over the unstable log.
std::string check_invariants(const RawNode& node);

/// Raft's promises over a whole cluster (thesis figure 3.2), watched from outside: election safety, leader completeness,
/// log matching, state machine safety, and commit indices that only grow.
///
/// Place: tests and the simulator call observe() after each step of a node. Threads: one. Every function returns the
/// first violation as a sentence, or empty.
class ClusterInvariants {
 public:
  /// After any input of this node.
  std::string observe(const RawNode& node);
  /// The node lost its memory: its commit index may be older than what was seen.
  void restarted(NodeId id) { committed_seen_.erase(id); }
  /// The application of some node is about to apply this entry.
  std::string applying(const Entry& entry) const;
  /// The highest index that any node knew as committed.
  Index committed() const { return committed_.size(); }
  const Entry& entry(Index index) const { return committed_[index - 1].entry; }
  /// A fingerprint of all payloads up to `index`: what a state machine that keeps them all would hold.
  std::uint64_t state_at(Index index) const { return index == 0 ? 0 : committed_[index - 1].state; }

 private:
  struct Committed {
    Entry entry;
    Term in_term;  ///< The leadership that committed it.
    std::uint64_t state;
  };
  /// An entry in some log: who has an entry of this index and term has this one, behind an entry of this term.
  struct Seen {
    Term term;
    Term previous_term;
    Entry entry;
  };

  std::string observe_log(const RawNode& node);
  std::string observe_committed(const RawNode& node);
  std::string observe_leadership(const RawNode& node);

  struct Leader {
    NodeId id;
    Index complete_up_to = 0;
  };
  std::map<Term, Leader> leaders_;
  /// By index. Whatever enters a log is unstable there first, so every entry comes by.
  std::map<Index, std::vector<Seen>> seen_;
  std::map<NodeId, Index> committed_seen_;
  std::vector<Committed> committed_;
};

}  // namespace etcdpp::raft
