#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include <etcdpp/raft/types.h>

#include "quorum.h"

namespace etcdpp::raft {

/// The reads that wait for their leader to be confirmed (thesis 6.4), in the order of their arrival.
///
/// Every read of this leadership has a number. A heartbeat carries the number of the last one that waits, as 8 bytes
/// little-endian; its answer says that the sender still followed us when all reads up to there had arrived. So the
/// numbers acknowledged by a quorum, sorted like match indices, confirm everything up to one of them at once.
class ReadOnly {
 public:
  struct Pending {
    Message request;
    Index index;  ///< The commit index when it arrived.
  };

  /// False when too many wait; the requester asks again.
  bool add(Index commit, Message request);
  bool empty() const { return pending_.empty(); }
  /// The context of heartbeats now; empty when nothing waits.
  base::Bytes heartbeat_context() const;
  /// An answer with this context came from a voter. Anything but a number that was sent is ignored.
  void acknowledge(NodeId from, base::BytesView context);
  /// Takes the reads that a quorum has confirmed; `self` counts as always up to date.
  std::vector<Pending> take_confirmed(const JointConfig& voters, NodeId self);

 private:
  std::uint64_t last() const { return confirmed_ + pending_.size(); }

  std::uint64_t confirmed_ = 0;
  std::deque<Pending> pending_;
  std::vector<std::pair<NodeId, std::uint64_t>> acknowledged_;
};

}  // namespace etcdpp::raft
