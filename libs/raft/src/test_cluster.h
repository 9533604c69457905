#pragma once

#include <functional>
#include <memory>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <etcdpp/raft/conf_change_codec.h>
#include <etcdpp/raft/raw_node.h>

namespace etcdpp::raft::test {

/// One member with its disk and its application: a list of the payloads it applied.
struct Member {
  Config config;
  std::unique_ptr<MemoryStorage> storage = std::make_unique<MemoryStorage>();
  std::unique_ptr<RawNode> node;
  std::vector<std::string> applied;
  Index applied_index = 0;
  ConfState conf_state;
  std::vector<ReadState> reads;
  std::vector<Message> append_work;
  std::vector<Message> apply_work;

  void start() { node = std::make_unique<RawNode>(RawNode::create(config).value()); }
  /// Everything volatile is lost.
  void restart() {
    append_work.clear();
    apply_work.clear();
    config.applied = applied_index;
    storage->set_conf_state(conf_state);
    start();
  }
  void apply(const std::vector<Entry>& entries) {
    for (const Entry& entry : entries) {
      if (entry.type == EntryType::kNormal) {
        if (!entry.data.empty()) applied.emplace_back(entry.data.view());
      } else {
        conf_state = node->apply_conf_change(decode_conf_change(entry).value()).value();
      }
      applied_index = entry.index;
    }
  }
  void install(const Snapshot& snapshot) {
    applied.assign(1, std::string(snapshot.data.view()));
    applied_index = snapshot.metadata.index;
    conf_state = snapshot.metadata.conf_state;
  }
  void write(const HardState& hard_state, const std::shared_ptr<const Snapshot>& snapshot, const std::vector<Entry>& entries) {
    if (!hard_state.empty()) storage->set_hard_state(hard_state);
    if (snapshot) {
      static_cast<void>(storage->apply_snapshot(*snapshot));
      install(*snapshot);
    }
    storage->append(entries).value();
  }
};

/// Members that exchange messages in one thread, in order, through a filter that may drop them.
class Cluster {
 public:
  explicit Cluster(bool async) : async_(async) {}

  Member& add(NodeId id, const std::vector<Peer>& bootstrap = {}) {
    Member& member = members_[id];
    member.config = {.id = id, .storage = member.storage.get(), .seed = id, .async_storage_writes = async_};
    if (configure) configure(member.config);
    member.start();
    if (!bootstrap.empty()) member.node->bootstrap(bootstrap).value();
    return member;
  }
  Member& operator[](NodeId id) { return members_.at(id); }
  std::map<NodeId, Member>& members() { return members_; }

  /// Until nobody has anything to do.
  void settle() {
    for (bool busy = true; busy;) {
      busy = false;
      for (auto& [id, member] : members_) busy |= run(member);
      std::vector<Message> messages;
      messages.swap(network_);
      for (Message& m : messages) {
        if (drop && drop(m)) continue;
        const auto to = members_.find(m.to);
        if (to == members_.end()) continue;
        busy = true;
        const bool snapshot = m.type == MessageType::kSnap;
        const NodeId from = m.from;
        static_cast<void>(to->second.node->step(std::move(m)).has_value());
        if (snapshot) snapshots_sent_.emplace_back(from, to->first);
      }
    }
  }
  /// One tick for everybody, then settle.
  void tick(int count = 1) {
    for (; count > 0; --count) {
      for (const auto& [from, to] : std::exchange(snapshots_sent_, {})) members_.at(from).node->report_snapshot(to, true);
      for (auto& [id, member] : members_) member.node->tick();
      settle();
    }
  }
  NodeId leader() {
    NodeId found = kNone;
    Term term = 0;
    for (auto& [id, member] : members_)
      if (member.node->soft_state().role == Role::kLeader && member.node->term() > term) {
        found = id;
        term = member.node->term();
      }
    return found;
  }

  std::function<bool(const Message&)> drop;
  std::function<void(Config&)> configure;

 private:
  bool run(Member& member) {
    bool busy = false;
    while (member.node->has_ready()) {
      busy = true;
      Ready ready = member.node->ready();
      for (ReadState& state : ready.read_states) member.reads.push_back(std::move(state));
      if (!async_) {
        member.write(ready.hard_state, ready.snapshot, ready.entries);
        for (Message& m : ready.messages) network_.push_back(std::move(m));
        member.apply(ready.committed_entries);
        member.node->advance();
        continue;
      }
      for (Message& m : ready.messages) {
        if (m.to == kLocalAppendThread) member.append_work.push_back(std::move(m));
        else if (m.to == kLocalApplyThread) member.apply_work.push_back(std::move(m));
        else network_.push_back(std::move(m));
      }
    }
    for (auto* queue : {&member.append_work, &member.apply_work}) {
      for (Message& work : *queue) {
        busy = true;
        if (work.type == MessageType::kStorageAppend) member.write({work.term, work.vote, work.commit}, work.snapshot, work.entries);
        else member.apply(work.entries);
        for (Message& response : work.responses) {
          if (response.to == member.config.id) static_cast<void>(member.node->step_local(std::move(response)).has_value());
          else network_.push_back(std::move(response));
        }
      }
      queue->clear();
    }
    return busy;
  }

  const bool async_;
  std::map<NodeId, Member> members_;
  std::vector<Message> network_;
  std::vector<std::pair<NodeId, NodeId>> snapshots_sent_;
};

}  // namespace etcdpp::raft::test
