#pragma once

#include <memory>
#include <span>
#include <vector>

#include <etcdpp/base/result.h>
#include <etcdpp/raft/config.h>
#include <etcdpp/raft/ready.h>
#include <etcdpp/raft/status.h>
#include <etcdpp/raft/storage.h>
#include <etcdpp/raft/types.h>

namespace etcdpp::raft {

class Raft;

/// A member of a new cluster, as its bootstrap entry names it.
struct Peer {
  NodeId id = kNone;
  base::Bytes context{};
};

/// One raft node as a state machine: inputs are calls, outputs are Readies. Hop 5 of a Put.
///
/// Place: the server's raft loop drives it through Node (node.h); tests and the simulator drive it directly.
/// Threads: one at a time, never re-entered. Pure: no clock, thread, file or global; time is tick().
/// Durability: none here; Ready says what must be durable before what.
/// Order: step inputs, then while has_ready(): ready(), do what it says, and in synchronous mode advance().
/// Errors: a refused input changes nothing; input from peers may be hostile and never ends the process.
/// etcd: raft.RawNode of go.etcd.io/raft v3.7, with two differences: what the own storage acknowledges comes through
/// step_local, not step, so that no peer can forge it; and a committed conf change that cannot be is an error, not a panic.
///
/// Example (synchronous mode):
///
///     MemoryStorage storage;
///     auto node = RawNode::create({.id = 1, .storage = &storage});
///     node->bootstrap(peers);
///     while (node->has_ready()) {
///       Ready ready = node->ready();
///       … write ready.hard_state, ready.entries; send ready.messages; apply ready.committed_entries …
///       node->advance();
///     }
class RawNode {
 public:
  /// A node with what its storage holds: an empty one (then bootstrap() or wait for a leader), or a restarted one.
  /// kBadConfig, kBadConfState, or the storage's error.
  static base::Result<RawNode> create(const Config& config);

  RawNode(RawNode&&) noexcept;
  RawNode& operator=(RawNode&&) noexcept;
  ~RawNode();

  /// Begins a new cluster: one committed ConfChange (add node) entry per peer at term 1, in the order given. Every
  /// member calls it with the same list. kBootstrapNonEmpty on a log with entries.
  base::Result<> bootstrap(std::span<const Peer> peers);

  /// Time passes by one tick (etcd: heartbeat interval).
  void tick();

  /// Starts an election now (with pre-vote if configured). Nothing happens, with a warning in the log, when this node
  /// is no voter, already leads, or has committed conf changes that are not applied; so a caller may campaign whenever
  /// it likes. A sole voter calls it as soon as may_campaign_alone() says so instead of waiting for its election timeout.
  void campaign();
  /// True for the only voter, not leading, with everything applied that is committed: campaign() makes it leader with
  /// its own disk alone.
  bool may_campaign_alone() const;

  /// Appends (leader) or forwards (follower) one payload. kProposalDropped: nobody got it.
  base::Result<> propose(base::SharedBytes payload);
  /// All of them or none, in order, in one step: one log append and one MsgApp per peer for the whole batch.
  base::Result<> propose(std::span<const base::SharedBytes> payloads);
  /// Like propose, of mixed types; term and index are set by the leader.
  base::Result<> propose_entries(std::vector<Entry> entries);
  /// A conf change that the configuration does not allow now (one is pending, joint or not) becomes an empty normal
  /// entry: its proposer sees only that it was never applied.
  base::Result<> propose_conf_change(const ConfChange& change);
  base::Result<> propose_conf_change(const ConfChangeV2& change);

  /// To be called for each committed conf-change entry, in order, before the entry counts as applied (advance, or the
  /// response of its MsgStorageApply); with node id 0 to refuse it. Returns the configuration now in force.
  /// kBadConfChange when it cannot be (the configuration is unchanged); the caller treats that as a corrupt log.
  ///
  /// `index` is the entry's. Give it in asynchronous mode: a snapshot may be received while older entries are still on
  /// their way to be applied, and its configuration, in force at once, has their changes already; those are ignored.
  base::Result<ConfState> apply_conf_change(const ConfChange& change, Index index = 0);
  base::Result<ConfState> apply_conf_change(const ConfChangeV2& change, Index index = 0);

  /// A message from a peer. kStepLocalMessage, kStepPeerNotFound, kMalformedMessage: ignore it. kProposalDropped: a
  /// forwarded proposal found no leader here.
  base::Result<> step(Message message);
  /// A response out of a MsgStorageAppend or MsgStorageApply that is addressed to this node.
  base::Result<> step_local(Message message);

  bool has_ready() const;
  /// Takes what is to be done. In synchronous mode advance() must come before the next.
  Ready ready();
  /// Synchronous mode: the last Ready is written, sent and applied.
  void advance();

  Status status() const;
  /// The cheap parts of status().
  SoftState soft_state() const;
  Term term() const;
  Index committed() const;
  Index applied() const;

  /// Asks the leader to hand over to `transferee`; the leader refuses proposals meanwhile, at most an election timeout.
  void transfer_leader(NodeId transferee);
  /// A follower forgets its leader and so may vote against its lease; refused with lease-based reads.
  void forget_leader();
  /// Answers with a ReadState in some later Ready, or never (no leader, message lost): ask again after a while.
  void read_index(base::SharedBytes context);
  /// The last messages to this peer may be lost: probe it instead of streaming.
  void report_unreachable(NodeId peer);
  /// How sending a MsgSnap to this peer ended.
  void report_snapshot(NodeId peer, bool sent);

  /// For transcripts: the ticks after which this node campaigns, in place of the drawn ones.
  void set_randomized_election_ticks(int ticks);

  /// The state itself, for invariants and tests of this room.
  const Raft& raft() const { return *raft_; }

 private:
  explicit RawNode(std::unique_ptr<Raft> raft, bool async_storage_writes);

  std::unique_ptr<Raft> raft_;
  bool async_storage_writes_;
  SoftState previous_soft_state_;
  HardState previous_hard_state_;
  // What advance() steps: the acknowledgements that the storage threads send in asynchronous mode.
  std::vector<Message> steps_on_advance_;
  bool ready_in_flight_ = false;
};

}  // namespace etcdpp::raft
