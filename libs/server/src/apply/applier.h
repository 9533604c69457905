#pragma once

#include <google/protobuf/arena.h>

#include <etcdserverpb/raft_internal.pb.h>

#include "apply_state.h"

namespace etcdpp::server {

/// Applies one request through the chain corrupt → capped → auth → quota → backend.
///
/// Threads: the apply loop's. Each link may refuse; what a link refuses, the links behind it never see. Quota alone lets
/// the request through and refuses afterwards, so that the state of all members stays the same whatever their own limit.
class Applier {
 public:
  explicit Applier(ApplyState& state) : state_(state) {}

  /// Times it, and says so when it takes longer than --warning-apply-duration. `answered`: somebody on this member waits for the result.
  Applied apply(const etcdserverpb::InternalRaftRequest& request, std::uint64_t entry_index, bool answered);

 private:
  Applied judge_and_apply(const etcdserverpb::InternalRaftRequest& request, std::uint64_t entry_index, bool answered);
  Applied dispatch(const etcdserverpb::InternalRaftRequest& request, std::uint64_t entry_index, bool answered);

  ApplyState& state_;
};

}  // namespace etcdpp::server
