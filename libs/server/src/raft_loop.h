#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <etcdpp/raft/node.h>
#include <etcdpp/raft/storage.h>

#include "apply_loop.h"
#include "failure.h"
#include "member_state.h"
#include "read_indexer.h"
#include "wal_loop.h"

namespace etcdpp::server {

/// Messages to other members leave through here; they may be lost.
class PeerMessages {
 public:
  virtual ~PeerMessages() = default;
  virtual void send(std::vector<raft::Message> messages) = 0;
};

/// Hops 5, 6 and 9 of a Put: owns raft, and alone decides what must be on disk before which message leaves and before
/// what is applied (handle_ready).
///
/// Threads: propose() and tick() from any; step() from one thread at a time, together with the apply loop's step (a conf
/// change takes effect in raft while its entry is applied).
/// Bound: raft's inbox by bytes; proposals without a leader wait in it to their deadline.
class RaftLoop final : public raft::NodeOwner, public StorageAcknowledgements, public RaftPort {
 public:
  struct Ports {
    PeerMessages& peers;
    Waiters& waiters;
    ReadIndexer& read_indexer;
    MemberState& member;
    Failure& failure;
    base::Logger& logger;
    const base::Clock& clock;
    /// This member leads no longer (or never did): the lessor is demoted.
    std::function<void()> on_not_leading;
  };

  RaftLoop(raft::RawNode raw, std::unique_ptr<raft::MemoryStorage> storage, std::size_t inbox_bytes, Ports ports);

  /// The loops that it hands work to; before the first step.
  void connect(WalLoop& wal, ApplyLoop& apply) {
    wal_ = &wal;
    apply_ = &apply;
  }

  /// One entry with this payload; `id` comes back to the waiter with that id if it is refused. False: the inbox is full.
  /// `only_in_term` as raft::Proposal's.
  bool propose(std::uint64_t id, raft::EntryType type, base::SharedBytes payload, std::uint32_t max_wait_ticks,
               raft::Term only_in_term = 0);
  /// So much waits that nothing more should be read off the sockets. From any thread.
  bool inbox_crowded() const { return node_.crowded(); }
  void tick() { node_.tick(); }
  bool start_read_index(base::SharedBytes context) { return node_.read_index(std::move(context)); }

  /// Steps what has gathered in the inbox and hands out what raft wants. False if there was nothing.
  bool step();

  /// Log entries up to `index` are in a snapshot on disk; those before `index - catchup` leave memory.
  void compact_log(std::uint64_t index, std::uint64_t catchup);
  raft::Status status() const { return const_cast<raft::Node&>(node_).raw().status(); }
  void stop() { node_.stop(); }
  /// From any thread.
  bool stopping() const { return node_.stopping(); }

  // What raft and the storage loops say to it.
  void handle_ready(raft::Ready ready) override;
  void proposal_refused(const raft::Proposal& proposal, const base::Error& why) override;
  void message_refused(raft::NodeId from, raft::MessageType type, const base::Error& why) override;
  void append_durable(std::vector<raft::Message> responses) override;
  base::Result<raft::ConfState> apply_conf_change(const raft::ConfChange& change, std::uint64_t entry_index) override;
  void apply_done(std::vector<raft::Message> responses) override;

 private:
  void route(std::vector<raft::Message> responses);
  void soft_state_changed(const raft::SoftState& state);

  std::unique_ptr<raft::MemoryStorage> storage_;
  raft::Node node_;
  Ports ports_;
  WalLoop* wal_ = nullptr;
  ApplyLoop* apply_ = nullptr;
  AnswerBatch answers_;
  std::uint64_t compacted_to_ = 0;
};

}  // namespace etcdpp::server
