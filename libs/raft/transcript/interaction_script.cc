// A cluster in one process, driven command by command: nodes with their disks, the messages in flight, and the work of
// their storage threads in asynchronous mode. Node n has id n.
#include <charconv>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include <etcdpp/raft/conf_change_codec.h>
#include <etcdpp/raft/describe.h>
#include <etcdpp/raft/errc.h>
#include <etcdpp/raft/raw_node.h>

#include "transcript.h"

namespace etcdpp::raft::transcript {

namespace {

constexpr const char* kLevels[] = {"DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"};
constexpr int kQuiet = 5;

/// What a command prints, with the nodes' log lines in between.
class Output final : public base::Logger {
 public:
  int level = 0;
  std::string text;

  void print(std::string_view line) {
    if (level != kQuiet) text += line;
  }
  bool enabled(base::LogLevel at) const override { return number(at) >= level && level != kQuiet; }
  void write(base::LogLevel at, std::string_view, std::string_view message, std::initializer_list<base::LogField>,
             std::source_location) override {
    print(fmt::format("{} {}\n", kLevels[number(at)], message));
  }

 private:
  static int number(base::LogLevel at) { return std::min(static_cast<int>(at), 4); }
};

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
  std::deque<Message> append_work;
  std::deque<Message> apply_work;
};

bool is_local(const Message& m) { return m.from == m.to || is_local_target(m.from) || is_local_target(m.to); }

/// Not every message to oneself is: a request may be forwarded back to its sender.
bool acknowledges_own_disk(const Message& m) {
  return is_local_target(m.from) || (m.from == m.to && (m.type == MessageType::kAppResp || m.type == MessageType::kVoteResp ||
                                                        m.type == MessageType::kPreVoteResp));
}

class Interaction {
 public:
  std::string run(const Block& block) {
    output_.text.clear();
    failure_.clear();
    handle(block);
    if (!failure_.empty()) {
      if (output_.level == kQuiet) return failure_;
      output_.print(failure_);
    }
    return output_.text.empty() ? "ok" : output_.text;
  }

 private:
  struct Recipient {
    NodeId id;
    bool drop = false;
  };

  void handle(const Block& block) {
    using Handler = void (Interaction::*)(const Block&);
    static const std::map<std::string_view, Handler> handlers = {
        {"_breakpoint", &Interaction::nothing},
        {"add-nodes", &Interaction::add_nodes},
        {"campaign", &Interaction::campaign},
        {"compact", &Interaction::compact},
        {"deliver-msgs", &Interaction::deliver_msgs},
        {"forget-leader", &Interaction::forget_leader},
        {"log-level", &Interaction::log_level},
        {"process-append-thread", &Interaction::process_append_thread},
        {"process-apply-thread", &Interaction::process_apply_thread},
        {"process-ready", &Interaction::process_ready},
        {"propose", &Interaction::propose},
        {"propose-conf-change", &Interaction::propose_conf_change},
        {"raft-log", &Interaction::raft_log},
        {"raft-state", &Interaction::raft_state},
        {"read-index", &Interaction::read_index},
        {"report-snapshot", &Interaction::report_snapshot},
        {"report-unreachable", &Interaction::report_unreachable},
        {"restart", &Interaction::restart},
        {"send-snapshot", &Interaction::send_snapshot},
        {"set-randomized-election-timeout", &Interaction::set_randomized_election_timeout},
        {"stabilize", &Interaction::stabilize},
        {"status", &Interaction::status},
        {"tick-election", &Interaction::tick_election},
        {"tick-heartbeat", &Interaction::tick_heartbeat},
        {"transfer-leadership", &Interaction::transfer_leadership},
    };
    const auto handler = handlers.find(block.command);
    if (handler == handlers.end()) return fail("unknown command");
    (this->*handler->second)(block);
  }

  // ---- arguments; a command that cannot be done prints its first failure

  void fail(std::string why) {
    if (failure_.empty()) failure_ = std::move(why);
  }
  bool failed() const { return !failure_.empty(); }
  void check(const base::Result<>& result) {
    if (!result) fail(result.error().message());
  }
  std::uint64_t number_of(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code != std::errc() || end != text.data() + text.size()) fail(fmt::format("not a number: {}", text));
    return number;
  }
  bool flag_of(std::string_view text) {
    for (const char* yes : {"true", "True", "TRUE", "t", "T", "1"})
      if (text == yes) return true;
    for (const char* no : {"false", "False", "FALSE", "f", "F", "0"})
      if (text == no) return false;
    fail("strconv.ParseBool: parsing " + quote(text) + ": invalid syntax");
    return false;
  }
  Node* node(std::uint64_t id) {
    if (id != 0 && id <= nodes_.size()) return &nodes_[id - 1];
    fail(fmt::format("no node {}", id));
    return nullptr;
  }
  /// Arguments without value are node numbers.
  std::vector<std::uint64_t> ids(const Block& block) {
    std::vector<std::uint64_t> found;
    for (const Argument& argument : block.arguments) {
      if (!argument.bare) continue;
      const std::uint64_t id = number_of(argument.key);
      if (!failed() && node(id)) found.push_back(id);
    }
    return found;
  }
  std::optional<std::pair<std::uint64_t, std::uint64_t>> two_ids(const Block& block, const char* otherwise) {
    const auto both = ids(block);
    if (!failed() && both.size() == 2) return std::pair(both[0], both[1]);
    fail(otherwise);
    return std::nullopt;
  }
  /// The node that the first argument names.
  Node* first(const Block& block) { return node(number_of(word(block, 0))); }
  std::string value(const Block& block, std::string_view key) {
    const Argument* argument = block.find(key);
    if (argument && !argument->values.empty()) return argument->values[0];
    fail(fmt::format("missing argument {}", key));
    return {};
  }
  std::string word(const Block& block, std::size_t at) {
    if (at < block.arguments.size()) return block.arguments[at].key;
    fail("missing argument");
    return {};
  }

  // ---- output

  void indented(const std::function<void()>& print) {
    std::string outer = std::exchange(output_.text, {});
    print();
    std::string_view inner = output_.text;
    while (!inner.empty()) {
      const std::size_t end = inner.find('\n');
      outer.append("  ").append(inner.substr(0, end)).append("\n");
      inner = end == std::string_view::npos ? std::string_view() : inner.substr(end + 1);
    }
    output_.text = std::move(outer);
  }
  void set_level(std::string_view name) {
    for (int i = 0; i <= kQuiet; ++i) {
      std::string level = kLevels[i];
      for (char& c : level) c = static_cast<char>(c | 0x20);
      std::string wanted(name);
      for (char& c : wanted) c = static_cast<char>(c | 0x20);
      if (level == wanted) {
        output_.level = i;
        return;
      }
    }
    fail(fmt::format("log levels must be either of [{}]", fmt::join(kLevels, " ")));
  }

  // ---- commands

  void nothing(const Block&) {}
  void log_level(const Block& block) { set_level(word(block, 0)); }

  void add_nodes(const Block& block) {
    const std::uint64_t count = number_of(word(block, 0));
    Config config{.election_ticks = 3, .heartbeat_ticks = 1, .max_size_per_message = kNoLimit, .max_inflight_messages = 0x7fffffff,
                  .check_quorum = false, .pre_vote = false};
    Snapshot snapshot;
    bool bootstrap = false;
    // An option that is not known here is somebody else's, and left alone.
    for (const Argument& argument : block.arguments) {
      for (const std::string& text : argument.values) {
        if (argument.key == "voters") snapshot.metadata.conf_state.voters.push_back(number_of(text)), bootstrap = true;
        else if (argument.key == "learners") snapshot.metadata.conf_state.learners.push_back(number_of(text)), bootstrap = true;
        else if (argument.key == "index") snapshot.metadata.index = number_of(text), bootstrap = true;
        else if (argument.key == "content") snapshot.data = base::SharedBytes(text), bootstrap = true;
        else if (argument.key == "inflight") config.max_inflight_messages = number_of(text);
        else if (argument.key == "inflight-bytes") config.max_inflight_bytes = number_of(text);
        else if (argument.key == "max-size-per-msg") config.max_size_per_message = number_of(text);
        else if (argument.key == "max-uncommitted-size") config.max_uncommitted_entries_size = number_of(text);
        else if (argument.key == "async-storage-writes") config.async_storage_writes = flag_of(text);
        else if (argument.key == "prevote") config.pre_vote = flag_of(text);
        else if (argument.key == "checkquorum") config.check_quorum = flag_of(text);
        else if (argument.key == "max-committed-size-per-ready") config.max_committed_size_per_ready = number_of(text);
        else if (argument.key == "disable-conf-change-validation") config.disable_conf_change_validation = flag_of(text);
        else if (argument.key == "disable-proposal-forwarding") config.disable_proposal_forwarding = flag_of(text);
        else if (argument.key == "step-down-on-removal") config.step_down_on_removal = flag_of(text);
        else if (argument.key == "read-only") {
          if (text == "safe") config.read_only = ReadOnlyOption::kSafe;
          else if (text == "lease-based") config.read_only = ReadOnlyOption::kLeaseBased;
          else fail("invalid read-only option " + quote(text));
        }
      }
    }
    if (bootstrap && snapshot.metadata.index <= 1) return fail("index must be specified as > 1 due to bootstrap");
    if (failed()) return;
    if (bootstrap) snapshot.metadata.term = 1;
    for (std::uint64_t i = 0; i < count; ++i) {
      Node added;
      added.storage = std::make_unique<NodeStorage>();
      if (bootstrap) check(added.storage->memory.apply_snapshot(snapshot));
      added.storage->newest = snapshot;
      added.applied = snapshot.metadata;
      added.config = config;
      added.config.id = nodes_.size() + 1;
      added.config.seed = added.config.id;
      added.config.storage = added.storage.get();
      added.config.logger = &output_;
      if (!start(added)) return;
      nodes_.push_back(std::move(added));
    }
  }
  bool start(Node& node) {
    auto raw = RawNode::create(node.config);
    if (raw) node.raw = std::make_unique<RawNode>(std::move(*raw));
    else fail(raw.error().message());
    return raw.has_value();
  }
  /// The process dies: what its storage has not got is lost, what it has applied is not.
  void restart(const Block& block) {
    Node* node = first(block);
    if (!node) return;
    node->append_work.clear();
    node->apply_work.clear();
    std::erase_if(messages_, [&](const Message& m) { return is_local(m) && (m.to == node->config.id || m.from == node->config.id); });
    node->config.applied = node->applied.index;
    node->storage->memory.set_conf_state(node->applied.conf_state);
    start(*node);
  }

  void campaign(const Block& block) {
    if (Node* node = first(block)) node->raw->campaign();
  }
  void forget_leader(const Block& block) {
    if (Node* node = first(block)) node->raw->forget_leader();
  }
  void tick_heartbeat(const Block& block) {
    if (Node* node = first(block)) tick(*node, node->config.heartbeat_ticks);
  }
  void tick_election(const Block& block) {
    if (Node* node = first(block)) tick(*node, node->config.election_ticks);
  }
  static void tick(Node& node, int count) {
    for (; count > 0; --count) node.raw->tick();
  }
  void set_randomized_election_timeout(const Block& block) {
    const auto ticks = static_cast<int>(number_of(value(block, "timeout")));
    if (Node* node = first(block)) node->raw->set_randomized_election_ticks(ticks);
  }
  void transfer_leadership(const Block& block) {
    const std::uint64_t to = number_of(value(block, "to"));
    if (Node* from = node(number_of(value(block, "from")))) from->raw->transfer_leader(to);
  }
  void read_index(const Block& block) {
    const std::string context = word(block, 1);
    if (Node* node = first(block)) node->raw->read_index(base::SharedBytes(context));
  }
  void report_unreachable(const Block& block) {
    if (const auto both = two_ids(block, "must specify exactly two node indexes: node on which to report, and reported node"))
      node(both->first)->raw->report_unreachable(both->second);
  }
  void report_snapshot(const Block& block) {
    if (const auto both = two_ids(block, "must specify exactly two node indexes: node on which to report, and reported node"))
      node(both->first)->raw->report_snapshot(both->second, true);
  }

  void propose(const Block& block) {
    if (block.arguments.size() != 2) return fail("expected exactly one key with no vals: propose");
    if (Node* node = first(block)) check(node->raw->propose(base::SharedBytes(word(block, 1))));
  }

  void propose_conf_change(const Block& block) {
    Node* node = first(block);
    ConfChangeV2 change;
    bool v1 = false;
    for (const Argument& argument : block.arguments) {
      for (const std::string& text : argument.values) {
        if (argument.key == "v1") {
          v1 = flag_of(text);
        } else if (argument.key == "transition") {
          if (text == "auto") change.transition = ConfChangeTransition::kAuto;
          else if (text == "implicit") change.transition = ConfChangeTransition::kJointImplicit;
          else if (text == "explicit") change.transition = ConfChangeTransition::kJointExplicit;
          else fail(fmt::format("unknown transition {}", text));
        } else {
          fail(fmt::format("unknown command {}", argument.key));
        }
      }
    }
    std::string error;
    if (!parse_changes(block.input, change.changes, error)) fail(error);
    if (failed()) return;
    if (!v1) return check(node->raw->propose_conf_change(change));
    if (change.changes.empty()) return fail("v1 conf change needs an operation");
    if (change.changes.size() > 1 || change.transition != ConfChangeTransition::kAuto)
      return fail("v1 conf change can only have one operation and no transition");
    check(node->raw->propose_conf_change(ConfChange{.type = change.changes[0].type, .node_id = change.changes[0].node_id}));
  }

  void compact(const Block& block) {
    const Index index = number_of(word(block, 1));
    Node* node = first(block);
    if (!node) return;
    check(node->storage->memory.compact(index));
    if (!failed()) print_log(*node);
  }
  void raft_log(const Block& block) {
    if (Node* node = first(block)) print_log(*node);
  }
  void print_log(Node& node) {
    MemoryStorage& memory = node.storage->memory;
    const Index first = memory.first_index();
    const Index last = memory.last_index();
    if (last < first) return output_.print(fmt::format("log is empty: first index={}, last index={}", first, last));
    std::vector<Entry> entries;
    check(memory.entries(first, last + 1, kNoLimit, entries));
    output_.print(describe(entries));
  }

  void raft_state(const Block&) {
    for (const Node& node : nodes_) {
      const Status status = node.raw->status();
      output_.print(fmt::format("{}: {} {} Term:{} Lead:{}\n", status.id, to_string(status.soft_state.role),
                                status.is_voter() ? "(Voter)" : "(Non-Voter)", status.hard_state.term, status.soft_state.lead));
    }
  }
  void status(const Block& block) {
    Node* node = first(block);
    if (!node) return;
    for (const ProgressStatus& progress : node->raw->status().progress)
      output_.print(fmt::format("{}: {}\n", progress.id, progress.describe()));
  }

  void send_snapshot(const Block& block) {
    const auto both = two_ids(block, "must specify exactly two nodes");
    if (!both) return;
    Node& from = *node(both->first);
    Message m{.type = MessageType::kSnap, .to = both->second, .from = both->first, .term = from.raw->term(),
              .snapshot = std::make_shared<const Snapshot>(from.storage->newest)};
    output_.print(describe(m));
    messages_.push_back(std::move(m));
  }

  // ---- messages

  /// Takes the messages for a node out of the network, in order.
  std::vector<Message> take(NodeId to, std::optional<MessageType> type, bool drop) {
    std::vector<Message> taken;
    std::vector<Message> rest;
    for (Message& m : messages_) {
      const bool wanted = m.to == to && (!type || m.type == *type) && !(drop && is_local(m));
      (wanted ? taken : rest).push_back(std::move(m));
    }
    messages_ = std::move(rest);
    return taken;
  }
  bool waiting(NodeId to) const {
    for (const Message& m : messages_)
      if (m.to == to) return true;
    return false;
  }

  std::size_t deliver(std::optional<MessageType> type, const std::vector<Recipient>& recipients) {
    std::size_t count = 0;
    for (const Recipient& recipient : recipients) {
      for (Message& m : take(recipient.id, type, recipient.drop)) {
        ++count;
        if (recipient.drop) output_.print("dropped: ");
        output_.print(describe(m) + "\n");
        if (recipient.drop) continue;
        Node* to = node(m.to);
        if (!to) return count;
        const auto stepped = acknowledges_own_disk(m) ? to->raw->step_local(std::move(m)) : to->raw->step(std::move(m));
        if (!stepped) output_.print(stepped.error().code.message() + "\n");
      }
    }
    return count;
  }

  void deliver_msgs(const Block& block) {
    std::optional<MessageType> type;
    std::vector<Recipient> recipients;
    for (const Argument& argument : block.arguments) {
      if (argument.bare) recipients.push_back({number_of(argument.key)});
      for (const std::string& text : argument.values) {
        if (argument.key == "drop") {
          recipients.push_back({number_of(text), true});
        } else if (argument.key == "type") {
          for (std::int32_t i = 0; i <= kLastMessageType; ++i)
            if (to_string(static_cast<MessageType>(i)) == text) type = static_cast<MessageType>(i);
          if (!type) return fail(fmt::format("unknown message type {}", text));
        }
      }
    }
    if (!failed() && deliver(type, recipients) == 0) output_.print("no messages\n");
  }

  // ---- ready, append and apply

  void for_each(const Block& block, const char* what, void (Interaction::*process)(Node&)) {
    const auto all = ids(block);
    for (const std::uint64_t id : all) {
      if (all.size() > 1) {
        output_.print(fmt::format("> {} {}\n", id, what));
        indented([&] { (this->*process)(*node(id)); });
      } else {
        (this->*process)(*node(id));
      }
    }
  }
  void process_ready(const Block& block) { for_each(block, "handling Ready", &Interaction::process_ready); }
  void process_append_thread(const Block& block) { for_each(block, "processing append thread", &Interaction::process_append); }
  void process_apply_thread(const Block& block) { for_each(block, "processing apply thread", &Interaction::process_apply); }

  void process_ready(Node& node) {
    Ready ready = node.raw->ready();
    output_.print(describe(ready));
    if (!node.config.async_storage_writes) {
      write(node, ready.hard_state, ready.entries, ready.snapshot);
      apply(node, ready.committed_entries);
    }
    for (Message& m : ready.messages) {
      if (m.to == kLocalAppendThread) node.append_work.push_back(std::move(m));
      else if (m.to == kLocalApplyThread) node.apply_work.push_back(std::move(m));
      else messages_.push_back(std::move(m));
    }
    if (!node.config.async_storage_writes) node.raw->advance();
  }

  void process_append(Node& node) {
    if (node.append_work.empty()) return output_.print("no append work to perform");
    Message m = begin(node.append_work);
    std::vector<Message> responses = std::exchange(m.responses, {});
    output_.print("Processing:\n" + describe(m) + "\n");
    write(node, {m.term, m.vote, m.commit}, m.entries, m.snapshot);
    answer(std::move(responses));
  }
  void process_apply(Node& node) {
    if (node.apply_work.empty()) return output_.print("no apply work to perform");
    Message m = begin(node.apply_work);
    std::vector<Message> responses = std::exchange(m.responses, {});
    output_.print("Processing:\n" + describe(m) + "\n");
    apply(node, m.entries);
    answer(std::move(responses));
  }
  static Message begin(std::deque<Message>& work) {
    Message m = std::move(work.front());
    work.pop_front();
    return m;
  }
  void answer(std::vector<Message> responses) {
    output_.print("Responses:\n");
    for (Message& m : responses) {
      output_.print(describe(m) + "\n");
      messages_.push_back(std::move(m));
    }
  }

  void write(Node& node, const HardState& hard_state, const std::vector<Entry>& entries,
             const std::shared_ptr<const Snapshot>& snapshot) {
    MemoryStorage& memory = node.storage->memory;
    if (!hard_state.empty()) memory.set_hard_state(hard_state);
    if (snapshot && !snapshot->empty()) {
      check(memory.apply_snapshot(*snapshot));
      node.applied = snapshot->metadata;
    }
    check(memory.append(entries));
  }

  /// The application appends what it applies to its state.
  void apply(Node& node, const std::vector<Entry>& entries) {
    Snapshot& newest = node.storage->newest;
    for (const Entry& entry : entries) {
      base::Bytes update(entry.data.view());
      if (entry.type != EntryType::kNormal) {
        const auto change = decode_conf_change(entry);
        if (!change) return fail(change.error().message());
        update = change->context;
        auto state = node.raw->apply_conf_change(*change);
        if (!state) return fail(state.error().message());
        newest.metadata.conf_state = node.applied.conf_state = std::move(*state);
      }
      newest.data = base::SharedBytes(base::Bytes(newest.data.view()) + update);
      newest.metadata.index = node.applied.index = entry.index;
      newest.metadata.term = node.applied.term = entry.term;
    }
  }

  void stabilize(const Block& block) {
    const int level = output_.level;
    if (const Argument* wanted = block.find("log-level"); wanted && !wanted->values.empty()) set_level(wanted->values[0]);
    std::vector<std::uint64_t> chosen = ids(block);
    if (chosen.empty())
      for (std::uint64_t id = 1; id <= nodes_.size(); ++id) chosen.push_back(id);
    for (bool busy = true; busy && !failed();) busy = stabilize_once(chosen);
    output_.level = level;
  }
  bool stabilize_once(const std::vector<std::uint64_t>& chosen) {
    bool busy = false;
    for (const std::uint64_t id : chosen) {
      if (!node(id)->raw->has_ready()) continue;
      output_.print(fmt::format("> {} handling Ready\n", id));
      indented([&] { process_ready(*node(id)); });
      busy = true;
    }
    for (const std::uint64_t id : chosen) {
      if (!waiting(id)) continue;
      output_.print(fmt::format("> {} receiving messages\n", id));
      indented([&] { deliver(std::nullopt, {{id}}); });
      busy = true;
    }
    for (const std::uint64_t id : chosen) {
      if (node(id)->append_work.empty()) continue;
      output_.print(fmt::format("> {} processing append thread\n", id));
      while (!node(id)->append_work.empty() && !failed()) indented([&] { process_append(*node(id)); });
      busy = true;
    }
    for (const std::uint64_t id : chosen) {
      if (node(id)->apply_work.empty()) continue;
      output_.print(fmt::format("> {} processing apply thread\n", id));
      while (!node(id)->apply_work.empty() && !failed()) indented([&] { process_apply(*node(id)); });
      busy = true;
    }
    return busy;
  }

  Output output_;
  std::string failure_;
  std::vector<Node> nodes_;
  std::vector<Message> messages_;
};

}  // namespace

Script interaction_script() {
  auto interaction = std::make_shared<Interaction>();
  return [interaction](const Block& block) { return interaction->run(block); };
}

}  // namespace etcdpp::raft::transcript
