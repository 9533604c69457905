#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <variant>
#include <vector>

#include <etcdpp/base/mailbox.h>
#include <etcdpp/base/result.h>
#include <etcdpp/raft/raw_node.h>

namespace etcdpp::raft {

/// Proposals that stand or fall together. One batch of the server's proposer is one Proposal.
struct Proposal {
  std::vector<Entry> entries{};  ///< Type and data; term and index are the leader's.
  std::uint64_t ticket = 0;    ///< The proposer's own; comes back when it is refused.
  std::uint32_t max_wait_ticks = 0;  ///< How long it may wait for a leader; 0 = as long as the node lives.
  /// Refused unless this node itself leads in this term when the proposal is stepped: neither held nor forwarded. 0 = any.
  Term only_in_term = 0;
};

/// What a Node tells its owner; called only inside Node::step, in the thread that calls it.
class NodeOwner {
 public:
  virtual ~NodeOwner() = default;
  /// readyc. Synchronous mode: send Node::advance() when done; no further Ready comes before it.
  virtual void handle_ready(Ready ready) = 0;
  /// The proposal is in nobody's log: kProposalDropped, kProposalExpired or kStopped.
  virtual void proposal_refused(const Proposal& proposal, const base::Error& why) = 0;
  /// A peer's message was refused; worth a debug line.
  virtual void message_refused(NodeId from, MessageType type, const base::Error& why) = 0;
};

/// The loop around a RawNode: a bounded inbox whose message kinds are etcd's channels, and a step() that drains it.
///
/// Place: the server's raft loop owns one; I/O threads, timer, transport and storage loops send to it.
/// Threads: every send_* and propose from any thread; step(), wait_until() and raw() from the owner's alone. Without
/// threads (simulator) the owner calls step() whenever something was sent.
/// Order: inputs are taken in the order of sending; all proposals of one drain become one append. While there is no
/// leader, proposals wait inside (etcd blocks its callers), counted by bytes against the same bound.
/// Bound: `inbox_bytes` of what waits; a sender that gets false stops reading its source (proposals, messages).
/// Acknowledgements of storage and ticks pass the bound, since they empty it.
class Node {
 public:
  Node(RawNode raw, NodeOwner& owner, bool async_storage_writes, std::size_t inbox_bytes);

  /// propc. False: full or stopped, try later.
  bool propose(Proposal proposal);
  /// recvc: from a peer. False: full, the message is dropped as networks do.
  bool receive(Message message);
  /// Responses of MsgStorageAppend or MsgStorageApply to this node, when their work is done. Never refused.
  void storage_done(std::vector<Message> responses);
  /// confc and confstatec: a committed conf change is to take effect; `reply` gets the configuration in the owner's
  /// thread. An owner that applies in its own step() calls raw().apply_conf_change instead.
  void apply_conf_change(ConfChangeV2 change, Index index, std::function<void(base::Result<ConfState>)> reply);
  /// advancec.
  void advance();
  /// tickc.
  void tick();
  void campaign();
  bool read_index(base::SharedBytes context);
  void transfer_leader(NodeId transferee);
  void forget_leader();
  void report_unreachable(NodeId peer);
  void report_snapshot(NodeId peer, bool sent);
  /// status: `reply` is called in the owner's thread.
  void status(std::function<void(Status)> reply);
  /// Nothing is taken any more; waiting proposals are refused with kStopped at the next step().
  void stop();

  /// Takes everything that is there, steps it, and hands out Readies until there are none (or one is in flight).
  /// True if it did anything.
  bool step();
  /// Sleeps until something was sent or `until`.
  void wait_until(base::Instant until) { inbox_.wait_until(until); }
  void wait() { inbox_.wait(); }
  bool stopped() const { return stopped_; }
  /// stop() was called: what is refused now will be refused for ever. From any thread.
  bool stopping() const { return inbox_.closed(); }
  /// A quarter of the bound is used: time to stop reading, before anybody must be refused; the rest is for what has
  /// been read already. From any thread.
  bool crowded() const { return held_bytes_.load(std::memory_order_relaxed) + inbox_.cost() >= inbox_bytes_ / 4; }

  RawNode& raw() { return raw_; }

 private:
  struct Receive { Message message; };
  struct StorageDone { std::vector<Message> responses; };
  struct ApplyConfChange { ConfChangeV2 change; Index index; std::function<void(base::Result<ConfState>)> reply; };
  struct Advance {};
  struct Tick {};
  struct Campaign {};
  struct ReadIndex { base::SharedBytes context; };
  struct TransferLeader { NodeId transferee; };
  struct ForgetLeader {};
  struct ReportUnreachable { NodeId peer; };
  struct ReportSnapshot { NodeId peer; bool sent; };
  struct GetStatus { std::function<void(Status)> reply; };
  struct Stop {};
  using Input = std::variant<Proposal, Receive, StorageDone, ApplyConfChange, Advance, Tick, Campaign, ReadIndex, TransferLeader,
                             ForgetLeader, ReportUnreachable, ReportSnapshot, GetStatus, Stop>;
  struct Held { Proposal proposal; std::size_t cost; std::uint64_t deadline_tick; };

  void take(Input& input);
  void hold(Proposal proposal);
  void refuse_overtaken();
  void propose_held();
  void expire_held();
  void refuse_all(const base::Error& why);
  bool hand_out();

  RawNode raw_;
  NodeOwner& owner_;
  const bool async_storage_writes_;
  const std::size_t inbox_bytes_;
  base::Mailbox<Input> inbox_;
  // Bytes of proposals taken from the inbox that still wait for a leader.
  std::atomic<std::size_t> held_bytes_{0};

  // The owner's thread only.
  std::vector<Input> drained_;
  std::deque<Held> held_;
  std::uint64_t ticks_ = 0;
  bool ready_in_flight_ = false;
  bool stopped_ = false;
};

}  // namespace etcdpp::raft
