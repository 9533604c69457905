// The commands of interaction transcripts, a function each. docs: ../transcripts/README.md.
#include <charconv>
#include <map>

#include <fmt/format.h>

#include <etcdpp/raft/describe.h>

#include "cluster.h"
#include "transcript.h"

namespace etcdpp::raft::transcript {

namespace {

class Interaction {
 public:
  std::string run(const Block& block) {
    failure_.clear();
    handle(block);
    // A failure is told even when everything else is silent.
    if (output_.quiet() && !failure_.empty()) return failure_;
    output_.print(failure_);
    const std::string text = output_.take();
    return text.empty() ? "ok" : text;
  }

 private:
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
        {"step", &Interaction::step},
        {"tick-election", &Interaction::tick_election},
        {"tick-heartbeat", &Interaction::tick_heartbeat},
        {"transfer-leadership", &Interaction::transfer_leadership},
    };
    const auto handler = handlers.find(block.command);
    if (handler == handlers.end()) return fail("unknown command");
    (this->*handler->second)(block);
  }

  // ---- arguments; a command that cannot be done prints its first failure

  void fail(Failure why) {
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
    if (id != 0 && id <= cluster_.size()) return &cluster_[id];
    fail(fmt::format("no node {}", id));
    return nullptr;
  }
  /// Arguments without value are node numbers.
  std::vector<NodeId> ids(const Block& block) {
    std::vector<NodeId> found;
    for (const Argument& argument : block.arguments) {
      if (!argument.bare) continue;
      const std::uint64_t id = number_of(argument.key);
      if (!failed() && node(id)) found.push_back(id);
    }
    return found;
  }
  std::optional<std::pair<NodeId, NodeId>> two_ids(const Block& block, const char* otherwise) {
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

  // ---- commands

  void nothing(const Block&) {}

  void log_level(const Block& block) { set_level(word(block, 0)); }
  void set_level(std::string_view name) {
    if (const auto level = Output::level_named(name)) output_.set_level(*level);
    else fail(fmt::format("log levels must be either of [{}]", fmt::join(Output::kLevels, " ")));
  }

  void add_nodes(const Block& block) {
    const std::uint64_t count = number_of(word(block, 0));
    Config config{.election_ticks = 3, .heartbeat_ticks = 1, .max_size_per_message = kNoLimit, .max_inflight_messages = 0x7fffffff,
                  .check_quorum = false, .pre_vote = false};
    Snapshot snapshot;
    bool bootstrap = false;
    for (const Argument& argument : block.arguments)
      for (const std::string& text : argument.values) bootstrap |= set_option(argument.key, text, config, snapshot);
    if (bootstrap && snapshot.metadata.index <= 1) return fail("index must be specified as > 1 due to bootstrap");
    if (bootstrap) snapshot.metadata.term = 1;
    if (!failed()) fail(cluster_.add(count, config, snapshot));
  }
  /// True if it says something of the state that the nodes begin with. An option that is not known is left alone, as the
  /// original does.
  bool set_option(std::string_view key, const std::string& text, Config& config, Snapshot& snapshot) {
    if (key == "voters") return snapshot.metadata.conf_state.voters.push_back(number_of(text)), true;
    if (key == "learners") return snapshot.metadata.conf_state.learners.push_back(number_of(text)), true;
    if (key == "index") return snapshot.metadata.index = number_of(text), true;
    if (key == "content") return snapshot.data = base::SharedBytes(text), true;
    if (key == "async-storage-writes") config.async_storage_writes = flag_of(text);
    else if (key == "prevote") config.pre_vote = flag_of(text);
    else if (key == "checkquorum") config.check_quorum = flag_of(text);
    else if (key == "inflight") config.max_inflight_messages = number_of(text);
    else if (key == "inflight-bytes") config.max_inflight_bytes = number_of(text);
    else if (key == "max-committed-size-per-ready") config.max_committed_size_per_ready = number_of(text);
    else if (key == "max-size-per-msg") config.max_size_per_message = number_of(text);
    else if (key == "max-uncommitted-size") config.max_uncommitted_entries_size = number_of(text);
    else if (key == "disable-conf-change-validation") config.disable_conf_change_validation = flag_of(text);
    else if (key == "disable-proposal-forwarding") config.disable_proposal_forwarding = flag_of(text);
    else if (key == "step-down-on-removal") config.step_down_on_removal = flag_of(text);
    else if (key == "read-only" && text == "safe") config.read_only = ReadOnlyOption::kSafe;
    else if (key == "read-only" && text == "lease-based") config.read_only = ReadOnlyOption::kLeaseBased;
    else if (key == "read-only") fail("invalid read-only option " + quote(text));
    return false;
  }
  void restart(const Block& block) {
    if (Node* node = first(block)) fail(cluster_.restart(*node));
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
      cluster_[both->first].raw->report_unreachable(both->second);
  }
  void report_snapshot(const Block& block) {
    const Argument* sent = block.find("sent");
    const bool arrived = !sent || sent->values.empty() || flag_of(sent->values[0]);
    if (const auto both = two_ids(block, "must specify exactly two node indexes: node on which to report, and reported node"))
      cluster_[both->first].raw->report_snapshot(both->second, arrived);
  }

  void propose(const Block& block) {
    if (block.arguments.size() != 2 || !block.arguments[1].bare) return fail("expected a node and the data of one proposal");
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
    for (const Node& node : cluster_.nodes()) {
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
    Node& from = cluster_[both->first];
    Message m{.type = MessageType::kSnap, .to = both->second, .from = both->first, .term = from.raw->term(),
              .snapshot = std::make_shared<const Snapshot>(from.storage->newest)};
    output_.print(describe(m));
    cluster_.send(std::move(m));
  }
  static std::optional<MessageType> message_type(std::string_view name) {
    for (std::int32_t i = 0; i <= kLastMessageType; ++i)
      if (to_string(static_cast<MessageType>(i)) == name) return static_cast<MessageType>(i);
    return std::nullopt;
  }
  /// A message as anybody might make it; its entries are lines of input.
  void step(const Block& block) {
    Node* node = first(block);
    const auto type = message_type(word(block, 1));
    if (!type) fail(fmt::format("unknown message type {}", word(block, 1)));
    if (failed()) return;
    Message m{.type = *type, .to = node->raw->status().id};
    Snapshot snapshot;
    for (const Argument& argument : block.arguments)
      for (const std::string& text : argument.values) set_field(argument.key, text, m, snapshot);
    if (!snapshot.empty()) m.snapshot = std::make_shared<const Snapshot>(std::move(snapshot));
    for (std::string_view rest = block.input; !rest.empty();) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      const std::size_t slash = line.find('/');
      const std::size_t space = line.find(' ');
      if (slash == line.npos || space == line.npos || slash > space) return fail("expected an entry: TERM/INDEX DATA");
      m.entries.push_back({.term = number_of(line.substr(0, slash)), .index = number_of(line.substr(slash + 1, space - slash - 1)),
                           .data = base::SharedBytes(line.substr(space + 1))});
    }
    if (!failed()) check(node->raw->step(std::move(m)));
  }
  void set_field(std::string_view key, const std::string& text, Message& m, Snapshot& snapshot) {
    if (key == "from") m.from = number_of(text);
    else if (key == "term") m.term = number_of(text);
    else if (key == "log-term") m.log_term = number_of(text);
    else if (key == "index") m.index = number_of(text);
    else if (key == "commit") m.commit = number_of(text);
    else if (key == "reject") m.reject = flag_of(text);
    else if (key == "hint") m.reject_hint = number_of(text);
    else if (key == "context") m.context = text;
    else if (key == "snapshot-index") snapshot.metadata.index = number_of(text);
    else if (key == "snapshot-term") snapshot.metadata.term = number_of(text);
    else if (key == "voters") snapshot.metadata.conf_state.voters.push_back(number_of(text));
    else fail(fmt::format("unknown field {}", key));
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
          type = message_type(text);
          if (!type) return fail(fmt::format("unknown message type {}", text));
        }
      }
    }
    if (!failed() && cluster_.deliver(type, recipients) == 0) output_.print("no messages\n");
  }

  void process_ready(const Block& block) { for_each(block, "handling Ready", &Cluster::process_ready); }
  void process_append_thread(const Block& block) { for_each(block, "processing append thread", &Cluster::process_append); }
  void process_apply_thread(const Block& block) { for_each(block, "processing apply thread", &Cluster::process_apply); }
  void for_each(const Block& block, const char* what, Failure (Cluster::*process)(Node&)) {
    const std::vector<NodeId> all = ids(block);
    for (const NodeId id : all) {
      if (failed()) return;
      if (all.size() == 1) return fail((cluster_.*process)(cluster_[id]));
      output_.print(fmt::format("> {} {}\n", id, what));
      output_.indented([&] { fail((cluster_.*process)(cluster_[id])); });
    }
  }

  void stabilize(const Block& block) {
    const int level = output_.level();
    if (const Argument* wanted = block.find("log-level"); wanted && !wanted->values.empty()) set_level(wanted->values[0]);
    std::vector<NodeId> chosen = ids(block);
    if (chosen.empty())
      for (NodeId id = 1; id <= cluster_.size(); ++id) chosen.push_back(id);
    if (!failed()) fail(cluster_.stabilize(chosen));
    output_.set_level(level);
  }

  Output output_;
  Cluster cluster_{output_};
  Failure failure_;
};

}  // namespace

Script interaction_script() {
  auto interaction = std::make_shared<Interaction>();
  return [interaction](const Block& block) { return interaction->run(block); };
}

}  // namespace etcdpp::raft::transcript
