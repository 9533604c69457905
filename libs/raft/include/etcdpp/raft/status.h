#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <etcdpp/raft/ready.h>
#include <etcdpp/raft/types.h>

namespace etcdpp::raft {

enum class ProgressState { kProbe, kReplicate, kSnapshot };
/// "StateProbe", "StateReplicate", "StateSnapshot".
const char* to_string(ProgressState state);

/// A follower as its leader sees it.
struct ProgressStatus {
  NodeId id = kNone;
  ProgressState state = ProgressState::kProbe;
  Index match = 0;
  Index next = 0;
  Index pending_snapshot = 0;
  bool is_learner = false;
  bool recent_active = false;
  bool paused = false;
  std::size_t inflight = 0;
  bool inflight_full = false;

  /// etcd's line, "StateReplicate match=11 next=12 paused inflight=3[full]".
  std::string describe() const;
};

/// A copy of everything an operator asks about.
struct Status {
  NodeId id = kNone;
  HardState hard_state{};
  SoftState soft_state{};
  Index applied = 0;
  Index committed = 0;
  Index first_index = 0;
  Index last_index = 0;
  NodeId lead_transferee = kNone;
  ConfState conf_state{};
  /// Sorted by id; empty unless this node leads.
  std::vector<ProgressStatus> progress{};

  bool is_voter() const;
};

}  // namespace etcdpp::raft
