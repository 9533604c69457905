#include <etcdpp/raft/raw_node.h>

#include <etcdpp/base/assert.h>
#include <etcdpp/raft/conf_change_codec.h>
#include <etcdpp/raft/errc.h>

#include "raft.h"

namespace etcdpp::raft {

base::Result<RawNode> RawNode::create(const Config& config) {
  ETCDPP_ASSIGN(std::unique_ptr<Raft> raft, Raft::create(config));
  return RawNode(std::move(raft), config.async_storage_writes);
}

RawNode::RawNode(std::unique_ptr<Raft> raft, bool async_storage_writes)
    : raft_(std::move(raft)),
      async_storage_writes_(async_storage_writes),
      previous_soft_state_(raft_->soft_state()),
      previous_hard_state_(raft_->hard_state()) {}

RawNode::RawNode(RawNode&&) noexcept = default;
RawNode& RawNode::operator=(RawNode&&) noexcept = default;
RawNode::~RawNode() = default;

base::Result<> RawNode::bootstrap(std::span<const Peer> peers) {
  if (peers.empty()) return base::Error(Errc::kBootstrapWithoutPeers);
  if (raft_->log().storage().last_index() != 0) return base::Error(Errc::kBootstrapNonEmpty);
  // Nothing of this is on disk yet: the first Ready says it all.
  previous_hard_state_ = {};
  raft_->become_follower(1, kNone);
  std::vector<Entry> entries;
  for (const Peer& peer : peers)
    entries.push_back({.type = EntryType::kConfChange,
                       .term = 1,
                       .index = entries.size() + 1,
                       .data = encode_conf_change(ConfChange{.node_id = peer.id, .context = peer.context})});
  raft_->log().append(entries);
  // Every member writes the same entries, so they are as good as committed; and they are in force at once, or nobody
  // could campaign. They are applied again when they come out as committed, which changes nothing.
  raft_->log().set_committed(peers.size());
  for (const Peer& peer : peers) ETCDPP_TRY(raft_->apply_conf_change(ConfChangeV2(ConfChange{.node_id = peer.id}), 0));
  return {};
}

void RawNode::tick() { raft_->tick(); }

void RawNode::campaign() { static_cast<void>(raft_->step({.type = MessageType::kHup})); }
bool RawNode::may_campaign_alone() const { return raft_->may_campaign_alone(); }

base::Result<> RawNode::propose(base::SharedBytes payload) { return propose(std::span<const base::SharedBytes>(&payload, 1)); }

base::Result<> RawNode::propose(std::span<const base::SharedBytes> payloads) {
  std::vector<Entry> entries;
  entries.reserve(payloads.size());
  for (const base::SharedBytes& payload : payloads) entries.push_back({.data = payload});
  return propose_entries(std::move(entries));
}

base::Result<> RawNode::propose_entries(std::vector<Entry> entries) {
  return raft_->step({.type = MessageType::kProp, .from = raft_->id(), .entries = std::move(entries)});
}

base::Result<> RawNode::propose_conf_change(const ConfChange& change) {
  return propose_entries({{.type = EntryType::kConfChange, .data = encode_conf_change(change)}});
}

base::Result<> RawNode::propose_conf_change(const ConfChangeV2& change) {
  return propose_entries({{.type = EntryType::kConfChangeV2, .data = encode_conf_change(change)}});
}

base::Result<ConfState> RawNode::apply_conf_change(const ConfChange& change, Index index) {
  return raft_->apply_conf_change(ConfChangeV2(change), index);
}
base::Result<ConfState> RawNode::apply_conf_change(const ConfChangeV2& change, Index index) {
  return raft_->apply_conf_change(change, index);
}

base::Result<> RawNode::step(Message m) {
  const auto number = static_cast<std::int32_t>(m.type);
  if (number < 0 || number > kLastMessageType) return base::Error(Errc::kMalformedMessage, "unknown type " + std::to_string(number));
  // What a follower passes on to whom it takes for the leader. It keeps its sender (of a transfer: the transferee), so
  // our own may come back to us.
  const bool request = m.type == MessageType::kProp || m.type == MessageType::kReadIndex || m.type == MessageType::kTransferLeader;
  // Nobody but ourselves speaks for our storage or acknowledges for our disk.
  if (is_local_message(m.type) || is_local_target(m.from) || (m.from == raft_->id() && !request))
    return base::Error(Errc::kStepLocalMessage);
  const bool termless = request || m.type == MessageType::kForgetLeader;
  // Without a term it would pass for one of our own.
  if (m.term == 0 && !termless) return base::Error(Errc::kMalformedMessage, to_string(m.type) + " without a term");
  if (is_response_message(m.type) && !raft_->tracker().progress.find(m.from)) return base::Error(Errc::kStepPeerNotFound);
  return raft_->step(std::move(m));
}

base::Result<> RawNode::step_local(Message m) {
  const bool from_storage = is_local_target(m.from) &&
                            (m.type == MessageType::kStorageAppendResp || m.type == MessageType::kStorageApplyResp);
  const bool from_self = m.from == raft_->id() && (m.type == MessageType::kAppResp || m.type == MessageType::kVoteResp ||
                                                   m.type == MessageType::kPreVoteResp);
  if (!from_storage && !from_self) return base::Error(Errc::kStepLocalMessage);
  if (from_self && !raft_->tracker().progress.find(m.from)) return base::Error(Errc::kStepPeerNotFound);
  return raft_->step(std::move(m));
}

bool RawNode::has_ready() const {
  const RaftLog& log = raft_->log();
  const HardState hard_state = raft_->hard_state();
  return raft_->soft_state() != previous_soft_state_ || (!hard_state.empty() && hard_state != previous_hard_state_) ||
         log.has_next_unstable_snapshot() || !raft_->messages().empty() || !raft_->messages_after_append().empty() ||
         log.has_next_unstable_entries() || log.has_next_committed_entries(!async_storage_writes_) || !raft_->read_states().empty();
}

Ready RawNode::ready() {
  ETCDPP_ASSERT(!ready_in_flight_, "advance() comes before the next ready()");
  Raft& raft = *raft_;
  RaftLog& log = raft.log();
  Ready ready;

  const SoftState soft_state = raft.soft_state();
  if (soft_state != previous_soft_state_) ready.soft_state = previous_soft_state_ = soft_state;
  const HardState hard_state = raft.hard_state();
  const auto next_entries = log.unstable().next_entries();
  // A commit index is not a promise: it is learnt again from the leader.
  ready.must_sync = !next_entries.empty() || hard_state.vote != previous_hard_state_.vote || hard_state.term != previous_hard_state_.term;
  if (hard_state != previous_hard_state_) ready.hard_state = previous_hard_state_ = hard_state;
  ready.snapshot = log.unstable().next_snapshot();
  ready.read_states = std::exchange(raft.read_states(), {});
  ready.messages = std::exchange(raft.messages(), {});
  std::vector<Message> after_append = std::exchange(raft.messages_after_append(), {});
  std::vector<Entry> entries(next_entries.begin(), next_entries.end());
  std::vector<Entry> committed;
  log.next_committed_entries(!async_storage_writes_, committed);

  // What storage acknowledges: everything that is unstable now, whether it was handed out just now or before, since
  // writes are done in order; so a repeated acknowledgement makes up for one that a new leader's entries outdated.
  const bool acknowledge = log.has_next_or_in_progress_unstable_entries() || ready.snapshot;
  Message acknowledgement;
  if (acknowledge) {
    acknowledgement = {.type = MessageType::kStorageAppendResp, .to = raft.id(), .from = kLocalAppendThread, .term = raft.term(),
                       .snapshot = ready.snapshot};
    if (log.has_next_or_in_progress_unstable_entries()) {
      const EntryId last = log.last_entry_id();
      acknowledgement.index = last.index;
      acknowledgement.log_term = last.term;
    }
  }

  log.accept_unstable();
  if (!committed.empty()) log.accept_applying(committed.back().index, encoded_size(committed), !async_storage_writes_);

  if (async_storage_writes_) {
    if (!entries.empty() || !ready.hard_state.empty() || ready.snapshot || !after_append.empty()) {
      if (acknowledge) after_append.push_back(std::move(acknowledgement));
      ready.messages.push_back({.type = MessageType::kStorageAppend, .to = kLocalAppendThread, .from = raft.id(),
                                .term = ready.hard_state.term, .entries = std::move(entries), .commit = ready.hard_state.commit,
                                .vote = ready.hard_state.vote, .snapshot = ready.snapshot, .responses = std::move(after_append)});
    }
    if (!committed.empty()) {
      Message apply{.type = MessageType::kStorageApply, .to = kLocalApplyThread, .from = raft.id(), .entries = std::move(committed)};
      Message applied{.type = MessageType::kStorageApplyResp, .to = raft.id(), .from = kLocalApplyThread, .entries = apply.entries};
      apply.responses.push_back(std::move(applied));
      ready.messages.push_back(std::move(apply));
    }
    return ready;
  }

  ready_in_flight_ = true;
  for (Message& m : after_append) {
    if (m.to == raft.id()) steps_on_advance_.push_back(std::move(m));
    else ready.messages.push_back(std::move(m));
  }
  if (acknowledge) steps_on_advance_.push_back(std::move(acknowledgement));
  if (!committed.empty())
    steps_on_advance_.push_back({.type = MessageType::kStorageApplyResp, .to = raft.id(), .from = kLocalApplyThread, .entries = committed});
  ready.entries = std::move(entries);
  ready.committed_entries = std::move(committed);
  return ready;
}

void RawNode::advance() {
  ETCDPP_ASSERT(!async_storage_writes_, "in asynchronous mode the storage messages' responses take advance()'s place");
  ETCDPP_ASSERT(ready_in_flight_, "advance() follows ready()");
  ready_in_flight_ = false;
  for (Message& m : std::exchange(steps_on_advance_, {})) static_cast<void>(raft_->step(std::move(m)));
}

Status RawNode::status() const { return raft_->status(); }
SoftState RawNode::soft_state() const { return raft_->soft_state(); }
Term RawNode::term() const { return raft_->term(); }
Index RawNode::committed() const { return raft_->log().committed(); }
Index RawNode::applied() const { return raft_->log().applied(); }

void RawNode::transfer_leader(NodeId transferee) {
  static_cast<void>(raft_->step({.type = MessageType::kTransferLeader, .from = transferee}));
}
void RawNode::forget_leader() { static_cast<void>(raft_->step({.type = MessageType::kForgetLeader})); }

void RawNode::read_index(base::SharedBytes context) {
  Message m{.type = MessageType::kReadIndex};
  m.entries.push_back({.data = std::move(context)});
  static_cast<void>(raft_->step(std::move(m)));
}

void RawNode::report_unreachable(NodeId peer) {
  static_cast<void>(raft_->step({.type = MessageType::kUnreachable, .from = peer}));
}
void RawNode::report_snapshot(NodeId peer, bool sent) {
  static_cast<void>(raft_->step({.type = MessageType::kSnapStatus, .from = peer, .reject = !sent}));
}

void RawNode::set_randomized_election_ticks(int ticks) { raft_->set_randomized_election_ticks(ticks); }

}  // namespace etcdpp::raft
