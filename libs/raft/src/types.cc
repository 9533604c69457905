#include <etcdpp/raft/types.h>

#include <array>
#include <bit>

#include <etcdpp/raft/ready.h>
#include <etcdpp/raft/status.h>
#include <etcdpp/raft/storage.h>

namespace etcdpp::raft {

namespace {
template <std::size_t N>
std::string name_of(const std::array<const char*, N>& names, std::int32_t number) {
  if (number < 0 || static_cast<std::size_t>(number) >= N) return "?" + std::to_string(number);
  return names[static_cast<std::size_t>(number)];
}

std::uint64_t varint_size(std::uint64_t v) {
  return static_cast<std::uint64_t>((std::bit_width(v | 1) + 6) / 7);
}
}  // namespace

bool is_local_message(MessageType type) {
  switch (type) {
    case MessageType::kHup:
    case MessageType::kBeat:
    case MessageType::kUnreachable:
    case MessageType::kSnapStatus:
    case MessageType::kCheckQuorum:
    case MessageType::kStorageAppend:
    case MessageType::kStorageAppendResp:
    case MessageType::kStorageApply:
    case MessageType::kStorageApplyResp: return true;
    default: return false;
  }
}

bool is_response_message(MessageType type) {
  switch (type) {
    case MessageType::kAppResp:
    case MessageType::kVoteResp:
    case MessageType::kHeartbeatResp:
    case MessageType::kUnreachable:
    case MessageType::kReadIndexResp:
    case MessageType::kPreVoteResp:
    case MessageType::kStorageAppendResp:
    case MessageType::kStorageApplyResp: return true;
    default: return false;
  }
}

std::string to_string(EntryType type) {
  static constexpr std::array names{"EntryNormal", "EntryConfChange", "EntryConfChangeV2"};
  return name_of(names, static_cast<std::int32_t>(type));
}

std::string to_string(ConfChangeType type) {
  static constexpr std::array names{"ConfChangeAddNode", "ConfChangeRemoveNode", "ConfChangeUpdateNode", "ConfChangeAddLearnerNode"};
  return name_of(names, static_cast<std::int32_t>(type));
}

std::string to_string(ConfChangeTransition transition) {
  static constexpr std::array names{"ConfChangeTransitionAuto", "ConfChangeTransitionJointImplicit",
                                    "ConfChangeTransitionJointExplicit"};
  return name_of(names, static_cast<std::int32_t>(transition));
}

std::string to_string(MessageType type) {
  static constexpr std::array names{
      "MsgHup",           "MsgBeat",          "MsgProp",       "MsgApp",           "MsgAppResp",        "MsgVote",
      "MsgVoteResp",      "MsgSnap",          "MsgHeartbeat",  "MsgHeartbeatResp", "MsgUnreachable",    "MsgSnapStatus",
      "MsgCheckQuorum",   "MsgTransferLeader", "MsgTimeoutNow", "MsgReadIndex",     "MsgReadIndexResp",  "MsgPreVote",
      "MsgPreVoteResp",   "MsgStorageAppend", "MsgStorageAppendResp", "MsgStorageApply", "MsgStorageApplyResp",
      "MsgForgetLeader"};
  static_assert(names.size() == kLastMessageType + 1);
  return name_of(names, static_cast<std::int32_t>(type));
}

const char* to_string(Role role) {
  switch (role) {
    case Role::kFollower: return "StateFollower";
    case Role::kCandidate: return "StateCandidate";
    case Role::kLeader: return "StateLeader";
    case Role::kPreCandidate: return "StatePreCandidate";
  }
  return "?";
}

const char* to_string(ProgressState state) {
  switch (state) {
    case ProgressState::kProbe: return "StateProbe";
    case ProgressState::kReplicate: return "StateReplicate";
    case ProgressState::kSnapshot: return "StateSnapshot";
  }
  return "?";
}

std::string ProgressStatus::describe() const {
  std::string out = to_string(state);
  out += " match=" + std::to_string(match) + " next=" + std::to_string(next);
  if (is_learner) out += " learner";
  if (paused) out += " paused";
  if (pending_snapshot != 0) out += " pendingSnap=" + std::to_string(pending_snapshot);
  if (!recent_active) out += " inactive";
  if (inflight != 0) {
    out += " inflight=" + std::to_string(inflight);
    if (inflight_full) out += "[full]";
  }
  return out;
}

bool Status::is_voter() const {
  for (const auto* half : {&conf_state.voters, &conf_state.voters_outgoing})
    for (NodeId voter : *half)
      if (voter == id) return true;
  return false;
}

std::uint64_t encoded_size(const Entry& entry) {
  std::uint64_t size = 1 + varint_size(entry.term) + 1 + varint_size(entry.index);
  if (entry.type != EntryType::kNormal) size += 2;
  if (!entry.data.empty()) size += 1 + varint_size(entry.data.size()) + entry.data.size();
  return size;
}

std::uint64_t encoded_size(std::span<const Entry> entries) {
  std::uint64_t size = 0;
  for (const Entry& entry : entries) size += encoded_size(entry);
  return size;
}

std::uint64_t payload_size(std::span<const Entry> entries) {
  std::uint64_t size = 0;
  for (const Entry& entry : entries) size += entry.data.size();
  return size;
}

}  // namespace etcdpp::raft
