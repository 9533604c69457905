#include "cluster.h"

#include <fmt/format.h>

#include <etcdpp/raft/conf_change_codec.h>
#include <etcdpp/raft/describe.h>

namespace etcdpp::raft::transcript {

namespace {

Failure failure_of(const base::Result<>& result) { return result ? Failure() : result.error().message(); }

/// The network loses nothing that a node says to itself.
bool is_local(const Message& m) { return m.from == m.to || is_local_target(m.from) || is_local_target(m.to); }

/// Not every message to oneself is one: a request may be forwarded back to its sender.
bool acknowledges_own_disk(const Message& m) {
  return is_local_target(m.from) || (m.from == m.to && (m.type == MessageType::kAppResp || m.type == MessageType::kVoteResp ||
                                                        m.type == MessageType::kPreVoteResp));
}

Message begin(std::deque<Message>& work) {
  Message m = std::move(work.front());
  work.pop_front();
  return m;
}

}  // namespace

Failure Cluster::add(std::uint64_t count, const Config& config, const Snapshot& snapshot) {
  for (; count > 0; --count) {
    Node added;
    added.storage = std::make_unique<NodeStorage>();
    added.storage->newest = snapshot;
    added.applied = snapshot.metadata;
    added.config = config;
    added.config.id = nodes_.size() + 1;
    added.config.seed = added.config.id;
    added.config.storage = added.storage.get();
    added.config.logger = &output_;
    if (!snapshot.empty())
      if (Failure failure = failure_of(added.storage->memory.apply_snapshot(snapshot)); !failure.empty()) return failure;
    if (Failure failure = start(added); !failure.empty()) return failure;
    nodes_.push_back(std::move(added));
  }
  return {};
}

Failure Cluster::start(Node& node) {
  auto raw = RawNode::create(node.config);
  if (!raw) return raw.error().message();
  node.raw = std::make_unique<RawNode>(std::move(*raw));
  return {};
}

Failure Cluster::restart(Node& node) {
  node.append_work.clear();
  node.apply_work.clear();
  std::erase_if(messages_, [&](const Message& m) { return is_local(m) && (m.to == node.config.id || m.from == node.config.id); });
  node.config.applied = node.applied.index;
  node.storage->memory.set_conf_state(node.applied.conf_state);
  return start(node);
}

std::vector<Message> Cluster::take(NodeId to, std::optional<MessageType> type, bool drop) {
  std::vector<Message> taken;
  std::vector<Message> rest;
  for (Message& m : messages_) {
    const bool wanted = m.to == to && (!type || m.type == *type) && !(drop && is_local(m));
    (wanted ? taken : rest).push_back(std::move(m));
  }
  messages_ = std::move(rest);
  return taken;
}

bool Cluster::waiting(NodeId to) const {
  return std::ranges::any_of(messages_, [&](const Message& m) { return m.to == to; });
}

std::size_t Cluster::deliver(std::optional<MessageType> type, const std::vector<Recipient>& recipients) {
  std::size_t count = 0;
  for (const Recipient& recipient : recipients) {
    for (Message& m : take(recipient.id, type, recipient.drop)) {
      ++count;
      output_.print((recipient.drop ? "dropped: " : "") + describe(m) + "\n");
      if (recipient.drop) continue;
      if (recipient.id > nodes_.size()) {
        output_.print(fmt::format("no node {}\n", recipient.id));
        continue;
      }
      RawNode& to = *nodes_[recipient.id - 1].raw;
      const auto stepped = acknowledges_own_disk(m) ? to.step_local(std::move(m)) : to.step(std::move(m));
      if (!stepped) output_.print(stepped.error().code.message() + "\n");
    }
  }
  return count;
}

Failure Cluster::process_ready(Node& node) {
  Ready ready = node.raw->ready();
  output_.print(describe(ready));
  if (!node.config.async_storage_writes) {
    if (Failure failure = write(node, ready.hard_state, ready.entries, ready.snapshot); !failure.empty()) return failure;
    if (Failure failure = apply(node, ready.committed_entries); !failure.empty()) return failure;
  }
  for (Message& m : ready.messages) {
    if (m.to == kLocalAppendThread) node.append_work.push_back(std::move(m));
    else if (m.to == kLocalApplyThread) node.apply_work.push_back(std::move(m));
    else messages_.push_back(std::move(m));
  }
  if (!node.config.async_storage_writes) node.raw->advance();
  return {};
}

Failure Cluster::process_append(Node& node) {
  if (node.append_work.empty()) {
    output_.print("no append work to perform");
    return {};
  }
  Message m = begin(node.append_work);
  std::vector<Message> responses = std::exchange(m.responses, {});
  output_.print("Processing:\n" + describe(m) + "\n");
  if (Failure failure = write(node, {m.term, m.vote, m.commit}, m.entries, m.snapshot); !failure.empty()) return failure;
  answer(std::move(responses));
  return {};
}

Failure Cluster::process_apply(Node& node) {
  if (node.apply_work.empty()) {
    output_.print("no apply work to perform");
    return {};
  }
  Message m = begin(node.apply_work);
  std::vector<Message> responses = std::exchange(m.responses, {});
  output_.print("Processing:\n" + describe(m) + "\n");
  if (Failure failure = apply(node, m.entries); !failure.empty()) return failure;
  answer(std::move(responses));
  return {};
}

void Cluster::answer(std::vector<Message> responses) {
  output_.print("Responses:\n");
  for (Message& m : responses) {
    output_.print(describe(m) + "\n");
    messages_.push_back(std::move(m));
  }
}

Failure Cluster::write(Node& node, const HardState& hard_state, const std::vector<Entry>& entries,
                       const std::shared_ptr<const Snapshot>& snapshot) {
  MemoryStorage& memory = node.storage->memory;
  if (!hard_state.empty()) memory.set_hard_state(hard_state);
  if (snapshot && !snapshot->empty()) {
    // Raft may hand out both (the snapshot goes first); the format's cluster does not know that.
    if (!entries.empty()) return "can't apply snapshot and entries at the same time";
    if (Failure failure = failure_of(memory.apply_snapshot(*snapshot)); !failure.empty()) return failure;
    node.applied = snapshot->metadata;
  }
  return failure_of(memory.append(entries));
}

/// The application appends what it applies to its state.
Failure Cluster::apply(Node& node, const std::vector<Entry>& entries) {
  Snapshot& newest = node.storage->newest;
  for (const Entry& entry : entries) {
    base::Bytes update(entry.data.view());
    if (entry.type != EntryType::kNormal) {
      const auto change = decode_conf_change(entry);
      if (!change) return change.error().message();
      update = change->context;
      auto state = node.raw->apply_conf_change(*change);
      if (!state) return state.error().message();
      newest.metadata.conf_state = node.applied.conf_state = std::move(*state);
    }
    newest.data = base::SharedBytes(base::Bytes(newest.data.view()) + update);
    newest.metadata.index = node.applied.index = entry.index;
    newest.metadata.term = node.applied.term = entry.term;
  }
  return {};
}

Failure Cluster::indented(const std::function<Failure()>& work) {
  Failure failure;
  output_.indented([&] { failure = work(); });
  return failure;
}

Failure Cluster::stabilize(const std::vector<NodeId>& ids) {
  for (bool busy = true; busy;) {
    busy = false;
    for (const NodeId id : ids) {
      Node& node = (*this)[id];
      if (!node.raw->has_ready()) continue;
      output_.print(fmt::format("> {} handling Ready\n", id));
      if (Failure failure = indented([&] { return process_ready(node); }); !failure.empty()) return failure;
      busy = true;
    }
    for (const NodeId id : ids) {
      if (!waiting(id)) continue;
      output_.print(fmt::format("> {} receiving messages\n", id));
      output_.indented([&] { deliver(std::nullopt, {{id}}); });
      busy = true;
    }
    for (const NodeId id : ids) {
      Node& node = (*this)[id];
      if (node.append_work.empty()) continue;
      output_.print(fmt::format("> {} processing append thread\n", id));
      while (!node.append_work.empty())
        if (Failure failure = indented([&] { return process_append(node); }); !failure.empty()) return failure;
      busy = true;
    }
    for (const NodeId id : ids) {
      Node& node = (*this)[id];
      if (node.apply_work.empty()) continue;
      output_.print(fmt::format("> {} processing apply thread\n", id));
      while (!node.apply_work.empty())
        if (Failure failure = indented([&] { return process_apply(node); }); !failure.empty()) return failure;
      busy = true;
    }
  }
  return {};
}

}  // namespace etcdpp::raft::transcript
