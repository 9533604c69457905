#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <etcdpp/raft/raw_node.h>

#include "output.h"

namespace etcdpp::raft::transcript {

/// Why something could not be done, in the format's words; empty when it was.
using Failure = std::string;

/// The log in memory, whose snapshot is always the newest state that this node came to by applying. As in the original,
/// a received snapshot is not part of that.
class NodeStorage final : public Storage {
 public:
  MemoryStorage memory;
  Snapshot newest;

  base::Result<InitialState> initial_state() override { return memory.initial_state(); }
  base::Result<> entries(Index lo, Index hi, std::uint64_t max_bytes, std::vector<Entry>& out) override {
    return memory.entries(lo, hi, max_bytes, out);
  }
  base::Result<Term> term(Index i) override { return memory.term(i); }
  Index first_index() override { return memory.first_index(); }
  Index last_index() override { return memory.last_index(); }
  base::Result<Snapshot> snapshot() override { return newest; }
};

struct Node {
  Config config;
  std::unique_ptr<NodeStorage> storage;
  std::unique_ptr<RawNode> raw;
  /// Where the application stands, received snapshots included.
  SnapshotMetadata applied;
  /// Of asynchronous storage: what its threads have not done yet.
  std::deque<Message> append_work;
  std::deque<Message> apply_work;
};

/// Who is to get what is under way to it, or is never to get it.
struct Recipient {
  NodeId id;
  bool drop = false;
};

/// Nodes 1, 2, … in one process, with their disks, the messages in flight, and the work of their storage threads.
/// Nothing happens by itself; everything that happens is printed.
class Cluster {
 public:
  explicit Cluster(Output& output) : output_(output) {}

  std::size_t size() const { return nodes_.size(); }
  Node& operator[](NodeId id) { return nodes_[id - 1]; }
  std::deque<Node>& nodes() { return nodes_; }

  /// Nodes that begin with this snapshot; one without index is no snapshot.
  Failure add(std::uint64_t count, const Config& config, const Snapshot& snapshot);
  /// The process dies: what its storage has not got is lost, what it has applied is not.
  Failure restart(Node& node);

  void send(Message message) { messages_.push_back(std::move(message)); }
  /// Delivers or drops what is under way, of one type or of all; how many.
  std::size_t deliver(std::optional<MessageType> type, const std::vector<Recipient>& recipients);

  Failure process_ready(Node& node);
  Failure process_append(Node& node);
  Failure process_apply(Node& node);
  /// All of the above, until none of these nodes has anything to do.
  Failure stabilize(const std::vector<NodeId>& ids);

 private:
  Failure start(Node& node);
  bool waiting(NodeId to) const;
  std::vector<Message> take(NodeId to, std::optional<MessageType> type, bool drop);
  Failure write(Node& node, const HardState& hard_state, const std::vector<Entry>& entries, const std::shared_ptr<const Snapshot>& snapshot);
  Failure apply(Node& node, const std::vector<Entry>& entries);
  void answer(std::vector<Message> responses);
  Failure indented(const std::function<Failure()>& work);

  Output& output_;
  std::deque<Node> nodes_;
  std::vector<Message> messages_;
};

}  // namespace etcdpp::raft::transcript
