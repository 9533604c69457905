#pragma once

#include <atomic>
#include <cstdint>

#include <etcdpp/raft/types.h>

namespace etcdpp::server {

/// The numbers of a member that any thread may look at: written by the raft and apply loops, read by services, health
/// checks and metrics. Each is exact at some moment; together they may be of different ones.
struct MemberState {
  std::uint64_t member_id = 0;   // constant after bootstrap
  std::uint64_t cluster_id = 0;  // constant after bootstrap

  std::atomic<std::uint64_t> term{0};
  std::atomic<std::uint64_t> leader{raft::kNone};
  std::atomic<std::uint64_t> committed{0};
  /// Published: a read that begins now sees at least this entry.
  std::atomic<std::uint64_t> applied{0};
  std::atomic<std::uint64_t> leader_changes{0};
  std::atomic<std::uint64_t> proposals_failed{0};
  /// When this member last lost a leader, in nanoseconds of the monotonic clock; 0: never.
  std::atomic<std::int64_t> leader_lost_at{0};
  /// Entries with this member's ClusterMemberAttrSet have been applied: clients may be served.
  std::atomic<bool> published{false};

  bool is_leader() const { return leader.load(std::memory_order_relaxed) == member_id; }
  bool has_leader() const { return leader.load(std::memory_order_relaxed) != raft::kNone; }
};

}  // namespace etcdpp::server
