#pragma once

#include <optional>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/raft/types.h>

namespace etcdpp::raft {

enum class Role { kFollower, kCandidate, kLeader, kPreCandidate };
/// "StateFollower", "StateCandidate", "StateLeader", "StatePreCandidate".
const char* to_string(Role role);

/// What need not be on disk: who leads, and what this node is.
struct SoftState {
  NodeId lead = kNone;
  Role role = Role::kFollower;

  friend bool operator==(const SoftState&, const SoftState&) = default;
};

/// The answer to a read_index(): the read may run here once `index` is applied. `context` is the request's own.
struct ReadState {
  Index index = 0;
  base::SharedBytes context{};

  friend bool operator==(const ReadState&, const ReadState&) = default;
};

/// What a RawNode wants done, in this order of durability.
///
/// Synchronous mode (`RawNode::advance` follows; one Ready in flight):
///   1. hard_state, then snapshot, then entries to disk, with a sync when must_sync;
///   2. then send messages (a leader may send MsgApp, MsgHeartbeat and MsgSnap before: they promise nothing of its disk);
///   3. install the snapshot if there is one, apply committed_entries in order, giving each conf change to
///      RawNode::apply_conf_change;
///   4. advance().
///
/// Asynchronous mode (Config::async_storage_writes): entries, committed_entries, hard_state and snapshot are *in the
/// messages*; `entries` and `committed_entries` stay empty. At most one MsgStorageAppend (to kLocalAppendThread) and one
/// MsgStorageApply (to kLocalApplyThread), always the last in `messages`, in that order:
///   - MsgStorageAppend: write term/vote/commit (unless all are zero), then snapshot, then entries; sync when must_sync;
///     then deliver its responses, in order. Appends are done in the order they were handed out.
///   - MsgStorageApply: apply entries in order; each conf change to apply_conf_change *before* the response is stepped;
///     then deliver its response. Applies are done in the order they were handed out.
///   - A response with `to` == the node's own id goes to RawNode::step_local, any other to that peer.
///   - All other messages may leave at once: none of them promises anything of this disk.
/// Committed entries in a MsgStorageApply are always acknowledged as synced here before.
struct Ready {
  /// Set when it changed.
  std::optional<SoftState> soft_state;
  /// Not empty when it changed.
  HardState hard_state{};
  std::vector<ReadState> read_states{};
  std::vector<Entry> entries{};
  /// Received from the leader: to be installed before `entries` are written behind it. Null when there is none.
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<Entry> committed_entries{};
  std::vector<Message> messages{};
  /// hard_state (term or vote) or entries must be durable; a new commit index alone need not be.
  bool must_sync = false;

  bool empty() const {
    return !soft_state && hard_state.empty() && read_states.empty() && entries.empty() && !snapshot &&
           committed_entries.empty() && messages.empty();
  }
};

}  // namespace etcdpp::raft
