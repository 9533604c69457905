#pragma once

#include <cstddef>
#include <cstdint>

#include <etcdpp/base/logger.h>
#include <etcdpp/base/result.h>
#include <etcdpp/raft/types.h>

namespace etcdpp::raft {

class Storage;

enum class ReadOnlyOption {
  kSafe,        ///< A ReadIndex confirms leadership by a heartbeat round (thesis 6.4).
  kLeaseBased,  ///< It trusts the leader's lease; needs check_quorum, and clocks that do not drift apart.
};

/// Parameters of one raft node. Defaults are those of etcd where it sets them.
///
/// Ownership: storage and logger are borrowed and outlive the node.
/// Determinism: the node draws its election timeouts from a generator seeded with `seed`; it has no other randomness
/// and no clock.
struct Config {
  NodeId id = kNone;
  Storage* storage = nullptr;
  base::Logger* logger = &base::null_logger();  ///< Component name "raft".
  std::uint64_t seed = 0;

  /// Ticks without a leader before a campaign: between election_ticks and twice that, drawn anew in each term.
  int election_ticks = 10;
  int heartbeat_ticks = 1;

  /// Where a restarted application stands: entries up to here are not handed out again. 0 = the log's start.
  Index applied = 0;

  /// Storage is written by other loops: Ready carries MsgStorageAppend and MsgStorageApply, there is no advance().
  bool async_storage_writes = false;

  std::uint64_t max_size_per_message = 1024 * 1024;
  /// Limit of entries handed out and not yet acknowledged as applied; 0 = max_size_per_message.
  std::uint64_t max_committed_size_per_ready = 0;
  /// Payload bytes proposed and not committed; 0 = no limit.
  std::uint64_t max_uncommitted_entries_size = 0;
  /// MsgApps in flight to one follower, by count and (0 = no limit) by payload bytes.
  std::size_t max_inflight_messages = 512;
  std::uint64_t max_inflight_bytes = 0;

  /// A leader without answers from a quorum for an election timeout steps down; followers keep to a live leader.
  bool check_quorum = true;
  /// A campaign asks first whether it could win, without raising its term (thesis 9.6).
  bool pre_vote = true;
  ReadOnlyOption read_only = ReadOnlyOption::kSafe;
  /// Followers refuse proposals instead of sending them to the leader.
  bool disable_proposal_forwarding = false;
  /// Takes conf changes into the log without looking at the present configuration.
  bool disable_conf_change_validation = false;
  /// Says when storage acknowledges what is stable already. With asynchronous storage most acknowledgements of a busy
  /// leader are such, so a server switches it off.
  bool log_stale_acknowledgements = true;
  /// A leader that is removed or demoted steps down when it applies that.
  bool step_down_on_removal = false;

  /// kBadConfig with the reason in the context.
  base::Result<> validate() const;
};

}  // namespace etcdpp::raft
