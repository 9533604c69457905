#include <etcdpp/raft/node.h>

#include <algorithm>

#include <etcdpp/raft/errc.h>

namespace etcdpp::raft {

namespace {

/// What an input costs beside its bytes, so that many empty ones are bounded too.
constexpr std::size_t kInputOverhead = 64;

std::size_t cost_of(const std::vector<Entry>& entries) {
  std::size_t cost = kInputOverhead;
  for (const Entry& entry : entries) cost += sizeof(Entry) + entry.data.size();
  return cost;
}

template <typename... Cases>
struct Match : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Match(Cases...) -> Match<Cases...>;

}  // namespace

Node::Node(RawNode raw, NodeOwner& owner, bool async_storage_writes, std::size_t inbox_bytes)
    : raw_(std::move(raw)), owner_(owner), async_storage_writes_(async_storage_writes), inbox_bytes_(inbox_bytes), inbox_(inbox_bytes) {}

bool Node::propose(Proposal proposal) {
  const std::size_t cost = cost_of(proposal.entries);
  const std::size_t held = held_bytes_.load(std::memory_order_relaxed);
  if (held != 0 && held + cost > inbox_bytes_) return false;
  return inbox_.try_push(std::move(proposal), cost);
}

bool Node::receive(Message message) {
  std::size_t cost = cost_of(message.entries) + message.context.size();
  if (message.snapshot) cost += message.snapshot->data.size();
  return inbox_.try_push(Receive{std::move(message)}, cost);
}

void Node::storage_done(std::vector<Message> responses) { inbox_.push_always(StorageDone{std::move(responses)}); }

void Node::apply_conf_change(ConfChangeV2 change, Index index, std::function<void(base::Result<ConfState>)> reply) {
  inbox_.push_always(ApplyConfChange{std::move(change), index, std::move(reply)});
}

void Node::advance() { inbox_.push_always(Advance{}); }
void Node::tick() { inbox_.push_always(Tick{}); }
void Node::campaign() { inbox_.push_always(Campaign{}); }

bool Node::read_index(base::SharedBytes context) {
  const std::size_t cost = kInputOverhead + context.size();
  return inbox_.try_push(ReadIndex{std::move(context)}, cost);
}

void Node::transfer_leader(NodeId transferee) { inbox_.push_always(TransferLeader{transferee}); }
void Node::forget_leader() { inbox_.push_always(ForgetLeader{}); }
void Node::report_unreachable(NodeId peer) { static_cast<void>(inbox_.try_push(ReportUnreachable{peer}, kInputOverhead)); }
void Node::report_snapshot(NodeId peer, bool sent) { inbox_.push_always(ReportSnapshot{peer, sent}); }
void Node::status(std::function<void(Status)> reply) { inbox_.push_always(GetStatus{std::move(reply)}); }

void Node::stop() {
  inbox_.push_always(Stop{});
  inbox_.close();
}

bool Node::step() {
  if (stopped_) return false;
  const bool took = inbox_.take(drained_);
  for (Input& input : drained_) {
    if (stopped_) {
      // Behind a stop only proposals expect an answer.
      if (const auto* proposal = std::get_if<Proposal>(&input)) owner_.proposal_refused(*proposal, Errc::kStopped);
      continue;
    }
    take(input);
  }
  drained_.clear();
  if (stopped_) {
    refuse_all(Errc::kStopped);
    return true;
  }
  refuse_overtaken();
  propose_held();
  // Only now: what came in one batch with the tick of its deadline has been offered to the leader, if there is one.
  expire_held();
  const bool handed_out = hand_out();
  return took || handed_out;
}

void Node::take(Input& input) {
  std::visit(Match{
                 [&](Proposal& it) { hold(std::move(it)); },
                 [&](Receive& it) {
                   const NodeId from = it.message.from;
                   const MessageType type = it.message.type;
                   if (const auto stepped = raw_.step(std::move(it.message)); !stepped) owner_.message_refused(from, type, stepped.error());
                 },
                 [&](StorageDone& it) {
                   for (Message& response : it.responses) {
                     const NodeId from = response.from;
                     const MessageType type = response.type;
                     if (const auto stepped = raw_.step_local(std::move(response)); !stepped)
                       owner_.message_refused(from, type, stepped.error());
                   }
                 },
                 [&](ApplyConfChange& it) { it.reply(raw_.apply_conf_change(it.change, it.index)); },
                 [&](Advance&) {
                   if (!std::exchange(ready_in_flight_, false)) return;
                   raw_.advance();
                 },
                 [&](Tick&) {
                   ++ticks_;
                   raw_.tick();
                 },
                 [&](Campaign&) { raw_.campaign(); },
                 [&](ReadIndex& it) { raw_.read_index(std::move(it.context)); },
                 [&](TransferLeader& it) { raw_.transfer_leader(it.transferee); },
                 [&](ForgetLeader&) { raw_.forget_leader(); },
                 [&](ReportUnreachable& it) { raw_.report_unreachable(it.peer); },
                 [&](ReportSnapshot& it) { raw_.report_snapshot(it.peer, it.sent); },
                 [&](GetStatus& it) { it.reply(raw_.status()); },
                 [&](Stop&) { stopped_ = true; },
             },
             input);
}

void Node::hold(Proposal proposal) {
  const std::size_t cost = cost_of(proposal.entries);
  const std::uint64_t deadline = proposal.max_wait_ticks == 0 ? kNoLimit : ticks_ + proposal.max_wait_ticks;
  held_bytes_.fetch_add(cost, std::memory_order_relaxed);
  held_.push_back({std::move(proposal), cost, deadline});
}

void Node::refuse_overtaken() {
  const bool leads = raw_.soft_state().role == Role::kLeader;
  std::erase_if(held_, [&](const Held& held) {
    const Term term = held.proposal.only_in_term;
    if (term == 0 || (leads && raw_.term() == term)) return false;
    owner_.proposal_refused(held.proposal, Errc::kProposalDropped);
    held_bytes_.fetch_sub(held.cost, std::memory_order_relaxed);
    return true;
  });
}

void Node::propose_held() {
  // Without a leader they wait here, as etcd's callers wait in its channel.
  if (held_.empty() || raw_.soft_state().lead == kNone) return;
  std::vector<Entry> entries;
  std::size_t count = 0;
  for (const Held& held : held_) count += held.proposal.entries.size();
  entries.reserve(count);
  for (const Held& held : held_) entries.insert(entries.end(), held.proposal.entries.begin(), held.proposal.entries.end());
  if (const auto proposed = raw_.propose_entries(std::move(entries)); !proposed) return refuse_all(proposed.error());
  held_.clear();
  held_bytes_.store(0, std::memory_order_relaxed);
}

void Node::expire_held() {
  std::erase_if(held_, [&](const Held& held) {
    if (held.deadline_tick > ticks_) return false;
    owner_.proposal_refused(held.proposal, Errc::kProposalExpired);
    held_bytes_.fetch_sub(held.cost, std::memory_order_relaxed);
    return true;
  });
}

void Node::refuse_all(const base::Error& why) {
  for (const Held& held : held_) owner_.proposal_refused(held.proposal, why);
  held_.clear();
  held_bytes_.store(0, std::memory_order_relaxed);
}

bool Node::hand_out() {
  bool any = false;
  while (!ready_in_flight_ && raw_.has_ready()) {
    ready_in_flight_ = !async_storage_writes_;
    any = true;
    owner_.handle_ready(raw_.ready());
  }
  return any;
}

}  // namespace etcdpp::raft
