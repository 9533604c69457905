// Hops 5, 6 and 9 of a Put: see docs/LIFE_OF_A_PUT.md.
#include "raft_loop.h"

#include <algorithm>

#include <fmt/format.h>

#include <etcdpp/base/bytes.h>
#include <etcdpp/raft/errc.h>

#include "errc.h"

namespace etcdpp::server {

RaftLoop::RaftLoop(raft::RawNode raw, std::unique_ptr<raft::MemoryStorage> storage, std::size_t inbox_bytes, Ports ports)
    : storage_(std::move(storage)),
      node_(std::move(raw), *this, /*async_storage_writes=*/true, inbox_bytes),
      ports_(std::move(ports)) {}

bool RaftLoop::propose(std::uint64_t id, raft::EntryType type, base::SharedBytes payload, std::uint32_t max_wait_ticks,
                       raft::Term only_in_term) {
  raft::Proposal proposal;
  proposal.entries.push_back({type, 0, 0, std::move(payload)});
  proposal.ticket = id;
  proposal.max_wait_ticks = max_wait_ticks;
  proposal.only_in_term = only_in_term;
  return node_.propose(std::move(proposal));
}

bool RaftLoop::step() {
  bool did = ports_.read_indexer.step(answers_);
  did |= node_.step();
  // Nobody else could lead: waiting for an election timeout would only lose time.
  if (!node_.stopped() && node_.raw().soft_state().role == raft::Role::kFollower && node_.raw().may_campaign_alone()) {
    node_.raw().campaign();
    did |= node_.step();
  }
  answers_.flush();
  return did;
}

// The one place that orders durability. A message that promises something of this disk is among the responses of the
// append and leaves only after it; an entry is applied only once this member's own log has it, which is raft's own rule
// for asynchronous storage.
void RaftLoop::handle_ready(raft::Ready ready) {
  if (ready.soft_state) soft_state_changed(*ready.soft_state);
  for (const raft::ReadState& state : ready.read_states) ports_.read_indexer.confirmed(state);

  std::vector<raft::Message> to_peers;
  raft::Message* append = nullptr;
  raft::Message* apply = nullptr;
  for (raft::Message& message : ready.messages) {
    if (message.to == raft::kLocalAppendThread) append = &message;
    else if (message.to == raft::kLocalApplyThread) apply = &message;
    else to_peers.push_back(std::move(message));
  }
  if (append) {
    if (append->term != 0) ports_.member.term.store(append->term, std::memory_order_release);
    if (append->commit != 0) ports_.member.committed.store(append->commit, std::memory_order_release);
    // Raft prefers its own unstable entries, so having them here early is no promise.
    if (const auto appended = storage_->append(append->entries); !appended) {
      ports_.failure.report("raft log in memory has a gap", appended.error());
      return;
    }
    wal_->append(std::move(*append));
  }
  if (!to_peers.empty()) ports_.peers.send(std::move(to_peers));
  if (apply) apply_->commit(std::move(*apply));
  if (ports_.read_indexer.has_confirmed()) ports_.read_indexer.release(ports_.member.applied.load(), answers_);
}

void RaftLoop::soft_state_changed(const raft::SoftState& state) {
  const std::uint64_t before = ports_.member.leader.exchange(state.lead, std::memory_order_acq_rel);
  if (before != state.lead) {
    if (state.lead != raft::kNone) {
      ports_.member.leader_changes.fetch_add(1, std::memory_order_relaxed);
      const std::string id = base::hex(ports_.member.member_id);
      if (before == raft::kNone)
        ports_.logger.info(fmt::format("raft.node: {} elected leader {} at term {}", id, base::hex(state.lead), node_.raw().term()));
      else
        ports_.logger.info(fmt::format("raft.node: {} changed leader from {} to {} at term {}", id, base::hex(before),
                                       base::hex(state.lead), node_.raw().term()));
    } else {
      ports_.member.leader_lost_at.store(ports_.clock.now().time_since_epoch().count(), std::memory_order_relaxed);
      ports_.logger.info(fmt::format("raft.node: {} lost leader {} at term {}", base::hex(ports_.member.member_id),
                                     base::hex(before), node_.raw().term()));
    }
    ports_.member.term.store(node_.raw().term(), std::memory_order_release);
    if (before != raft::kNone) ports_.read_indexer.leader_changed(answers_);
  }
  if (state.role != raft::Role::kLeader) ports_.on_not_leading();
}

void RaftLoop::proposal_refused(const raft::Proposal& proposal, const base::Error& why) {
  ports_.member.proposals_failed.fetch_add(1, std::memory_order_relaxed);
  auto waiter = ports_.waiters.take(proposal.ticket);
  if (!waiter) return;
  base::Error error = why;
  if (why.code == raft::Errc::kProposalExpired) error = base::Error(Errc::kContextDeadline);
  if (why.code == raft::Errc::kStopped) error = base::Error(Errc::kStopped);
  answers_.answer(*std::move(waiter), std::move(error));
}

void RaftLoop::message_refused(raft::NodeId from, raft::MessageType type, const base::Error& why) {
  ports_.logger.debug("raft message refused",
                      {{"from", base::hex(from)}, {"type", raft::to_string(type)}, {"error", why.message()}});
}

void RaftLoop::append_durable(std::vector<raft::Message> responses) { route(std::move(responses)); }
void RaftLoop::apply_done(std::vector<raft::Message> responses) { route(std::move(responses)); }

void RaftLoop::route(std::vector<raft::Message> responses) {
  std::vector<raft::Message> own;
  std::vector<raft::Message> to_peers;
  for (raft::Message& message : responses)
    (message.to == ports_.member.member_id ? own : to_peers).push_back(std::move(message));
  if (!own.empty()) node_.storage_done(std::move(own));
  if (!to_peers.empty()) ports_.peers.send(std::move(to_peers));
}

base::Result<raft::ConfState> RaftLoop::apply_conf_change(const raft::ConfChange& change, std::uint64_t entry_index) {
  return node_.raw().apply_conf_change(change, entry_index);
}

void RaftLoop::compact_log(std::uint64_t index, std::uint64_t catchup) {
  // Behind what raft has been told: after a restart it hands out entries again that the database has.
  index = std::min(index, node_.raw().applied());
  if (index <= catchup) return;
  const std::uint64_t to = index - catchup;
  if (to <= compacted_to_ || to < storage_->first_index()) return;
  if (storage_->compact(to)) compacted_to_ = to;
}

}  // namespace etcdpp::server
