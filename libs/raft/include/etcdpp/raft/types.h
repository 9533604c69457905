#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/base/bytes.h>

/// The consensus library's vocabulary: plain structs with raftpb's names, meanings and enum numbers.
///
/// Who uses them: everything that talks to a RawNode; the wire form is made elsewhere (the proto room's codec).
/// Ownership: values. An entry's payload and a snapshot are shared and immutable, so a copy of an Entry or a Message
/// never copies bytes. Zero means "not set", as in the wire's optional fields.
namespace etcdpp::raft {

using NodeId = std::uint64_t;
using Term = std::uint64_t;
using Index = std::uint64_t;

/// No node: no leader, no vote, no transfer.
inline constexpr NodeId kNone = 0;
/// Addresses of a member's own storage threads in asynchronous mode; never ids of members, never sent to a peer.
inline constexpr NodeId kLocalAppendThread = std::numeric_limits<NodeId>::max();
inline constexpr NodeId kLocalApplyThread = std::numeric_limits<NodeId>::max() - 1;
constexpr bool is_local_target(NodeId id) { return id == kLocalAppendThread || id == kLocalApplyThread; }

/// Sizes and counts without a bound.
inline constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

enum class EntryType : std::int32_t { kNormal = 0, kConfChange = 1, kConfChangeV2 = 2 };

/// One slot of the replicated log. Normal data is the application's; the data of the other two types is a ConfChange
/// or ConfChangeV2 in wire form (conf_change_codec.h). A new leader's first entry is normal and empty.
struct Entry {
  EntryType type = EntryType::kNormal;
  Term term = 0;
  Index index = 0;
  base::SharedBytes data{};

  friend bool operator==(const Entry&, const Entry&) = default;
};

/// What must be on disk before a message that promises it leaves. All zero = unchanged.
struct HardState {
  Term term = 0;
  NodeId vote = kNone;
  Index commit = 0;

  bool empty() const { return term == 0 && vote == kNone && commit == 0; }
  friend bool operator==(const HardState&, const HardState&) = default;
};

/// Voters and learners; while a joint configuration is in force also its outgoing half. Lists are sorted when they
/// come from raft.
struct ConfState {
  std::vector<NodeId> voters{};
  std::vector<NodeId> learners{};
  std::vector<NodeId> voters_outgoing{};
  std::vector<NodeId> learners_next{};
  bool auto_leave = false;

  friend bool operator==(const ConfState&, const ConfState&) = default;
};

struct SnapshotMetadata {
  ConfState conf_state{};
  Index index = 0;
  Term term = 0;

  friend bool operator==(const SnapshotMetadata&, const SnapshotMetadata&) = default;
};

/// State that stands for the log up to metadata.index. Index 0 = no snapshot.
struct Snapshot {
  base::SharedBytes data{};
  SnapshotMetadata metadata{};

  bool empty() const { return metadata.index == 0; }
  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

enum class ConfChangeType : std::int32_t { kAddNode = 0, kRemoveNode = 1, kUpdateNode = 2, kAddLearnerNode = 3 };

enum class ConfChangeTransition : std::int32_t {
  kAuto = 0,           ///< One change: at once. Several: joint, left automatically.
  kJointImplicit = 1,  ///< Joint, left automatically.
  kJointExplicit = 2,  ///< Joint, left by an empty ConfChangeV2.
};

/// A change of one member (the only form in etcd's log).
struct ConfChange {
  std::uint64_t id = 0;
  ConfChangeType type = ConfChangeType::kAddNode;
  NodeId node_id = kNone;
  base::Bytes context{};

  friend bool operator==(const ConfChange&, const ConfChange&) = default;
};

/// One step of a ConfChangeV2. Node id 0: nothing is changed (how an application refuses a committed change).
struct ConfChangeSingle {
  ConfChangeType type = ConfChangeType::kAddNode;
  NodeId node_id = kNone;

  friend bool operator==(const ConfChangeSingle&, const ConfChangeSingle&) = default;
};

/// Several changes, through a joint configuration if need be. Without changes: leave the joint configuration.
struct ConfChangeV2 {
  ConfChangeTransition transition = ConfChangeTransition::kAuto;
  std::vector<ConfChangeSingle> changes{};
  base::Bytes context{};

  ConfChangeV2() = default;
  explicit ConfChangeV2(ConfChangeTransition how, std::vector<ConfChangeSingle> what = {}, base::Bytes why = {})
      : transition(how), changes(std::move(what)), context(std::move(why)) {}
  /// The same change as v1 says it.
  explicit ConfChangeV2(const ConfChange& v1) : changes{{v1.type, v1.node_id}}, context(v1.context) {}

  friend bool operator==(const ConfChangeV2&, const ConfChangeV2&) = default;
};

enum class MessageType : std::int32_t {
  kHup = 0,
  kBeat = 1,
  kProp = 2,
  kApp = 3,
  kAppResp = 4,
  kVote = 5,
  kVoteResp = 6,
  kSnap = 7,
  kHeartbeat = 8,
  kHeartbeatResp = 9,
  kUnreachable = 10,
  kSnapStatus = 11,
  kCheckQuorum = 12,
  kTransferLeader = 13,
  kTimeoutNow = 14,
  kReadIndex = 15,
  kReadIndexResp = 16,
  kPreVote = 17,
  kPreVoteResp = 18,
  kStorageAppend = 19,
  kStorageAppendResp = 20,
  kStorageApply = 21,
  kStorageApplyResp = 22,
  kForgetLeader = 23,
};
inline constexpr std::int32_t kLastMessageType = 23;

/// Anything one node says to another, or to its own storage. Which fields mean something depends on the type
/// (the peer protocol); the others are zero.
struct Message {
  MessageType type = MessageType::kHup;
  NodeId to = kNone;
  NodeId from = kNone;
  Term term = 0;
  Term log_term = 0;
  Index index = 0;
  std::vector<Entry> entries{};
  Index commit = 0;
  NodeId vote = kNone;
  std::shared_ptr<const Snapshot> snapshot{};  ///< Only of kSnap, kStorageAppend and its response.
  bool reject = false;
  Index reject_hint = 0;
  base::Bytes context{};
  std::vector<Message> responses{};  ///< Of the storage messages: what to deliver when the work is durable or applied.
};

/// Types that a node only says to itself; from a peer they are refused.
bool is_local_message(MessageType type);
/// Answers: from a node that is no member they are refused.
bool is_response_message(MessageType type);

/// raftpb's names ("EntryNormal", "ConfChangeAddNode", "ConfChangeTransitionAuto", "MsgApp"); "?" and the number when
/// it has none.
std::string to_string(EntryType type);
std::string to_string(ConfChangeType type);
std::string to_string(ConfChangeTransition transition);
std::string to_string(MessageType type);

}  // namespace etcdpp::raft
