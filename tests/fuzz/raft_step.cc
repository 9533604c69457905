// A member of a cluster of one to three, driven by the input's bytes: messages as an enemy or a damaged peer would make
// them, between true ones, ticks, proposals, conf changes (also such that nobody could decode), Readies, storage work,
// compactions and restarts. Whatever comes, the process goes on, and the node keeps its own promises: indices in order,
// what it committed stays, what it hands out comes once and in order, term and vote are never taken back.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/raft/conf_change_codec.h>
#include <etcdpp/raft/invariants.h>
#include <etcdpp/raft/raw_node.h>

using namespace etcdpp;
using namespace etcdpp::raft;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}
  bool done() const { return at_ == end_; }
  std::uint8_t byte() { return done() ? 0 : *at_++; }
  bool flag() { return byte() & 1; }
  std::uint64_t below(std::uint64_t n) { return byte() % n; }
  std::string bytes(std::size_t most) {
    std::string out(below(most + 1), '\0');
    for (char& c : out) c = static_cast<char>(byte());
    return out;
  }
  /// Small, near `here`, or enormous.
  std::uint64_t number(std::uint64_t here) {
    const std::uint8_t kind = byte();
    switch (kind % 8) {
      case 0: return kind / 8;
      case 1: return ~std::uint64_t{kind / 8u};
      case 2: return std::uint64_t{byte()} << (kind / 8 * 2);
      default: return here + kind / 8 - 12;
    }
  }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

struct Member {
  Config config;
  MemoryStorage storage;
  std::unique_ptr<RawNode> node;
  std::deque<Message> append_work;
  std::deque<Message> apply_work;
  ConfState conf_state;
  Index applied = 0;
  Index committed = 0;
  HardState promised;
  std::map<Index, Entry> handed_out;
};

class Cluster {
 public:
  explicit Cluster(Input& input) : input_(input) {
    const std::uint8_t options = input_.byte();
    const std::uint8_t more = input_.byte();
    const std::uint64_t count = 1 + input_.below(3);
    Config config{.election_ticks = 3,
                  .async_storage_writes = (options & 1) != 0,
                  .max_size_per_message = (options & 2) ? 16u : 4096u,
                  .max_committed_size_per_ready = (options & 4) ? 20u : 0u,
                  .max_uncommitted_entries_size = (options & 8) ? 20u : 0u,
                  .max_inflight_messages = (options & 16) ? 2u : 16u,
                  .max_inflight_bytes = (options & 32) ? 4096u : 0u,
                  .check_quorum = (options & 64) != 0,
                  .pre_vote = (options & 128) != 0,
                  .disable_proposal_forwarding = (more & 1) != 0,
                  .disable_conf_change_validation = (more & 2) != 0,
                  .step_down_on_removal = (more & 4) != 0};
    if (config.check_quorum && (more & 8)) config.read_only = ReadOnlyOption::kLeaseBased;
    std::vector<Peer> peers;
    for (NodeId id = 1; id <= count; ++id) peers.push_back({.id = id});
    for (NodeId id = 1; id <= count; ++id) {
      Member& member = members_.emplace_back();
      member.config = config;
      member.config.id = member.config.seed = id;
      member.config.storage = &member.storage;
      member.node = std::make_unique<RawNode>(RawNode::create(member.config).value());
      member.node->bootstrap(peers).value();
    }
    // Most inputs should find something that works.
    if (more & 16) settle();
    if (more & 32) members_[0].node->campaign();
    if ((more & 32) && (more & 64)) settle();
  }

  void run() {
    for (int turns = 0; turns < 400 && !input_.done() && !ended_; ++turns) turn();
  }

 private:
  void turn() {
    // The first is the one under attack.
    Member& member = members_[input_.flag() ? 0 : input_.below(members_.size())];
    RawNode& node = *member.node;
    switch (input_.below(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4: static_cast<void>(members_[0].node->step(hostile()).has_value()); return check(members_[0]);
      case 5: node.tick(); break;
      case 6: node.campaign(); break;
      case 7: static_cast<void>(node.propose(base::SharedBytes(input_.bytes(20))).has_value()); break;
      case 8: static_cast<void>(node.propose_entries(entries(0, 0)).has_value()); break;
      case 9: static_cast<void>(node.propose_conf_change(change()).has_value()); break;
      case 10:
      case 11: return handle_ready(member);
      case 12: return append(member);
      case 13: return apply(member);
      case 14:
      case 15: return deliver();
      case 16: return settle();
      case 17: node.read_index(base::SharedBytes(input_.bytes(4))); break;
      case 18: nudge(node); break;
      case 19: input_.flag() ? compact(member) : restart(member); return;
    }
    check(member);
  }

  void nudge(RawNode& node) {
    const NodeId peer = input_.number(1);
    switch (input_.below(5)) {
      case 0: node.transfer_leader(peer); break;
      case 1: node.forget_leader(); break;
      case 2: node.report_unreachable(peer); break;
      case 3: node.report_snapshot(peer, input_.flag()); break;
      case 4: static_cast<void>(node.step_local(hostile()).has_value()); ended_ = true; break;  // only its own storage calls it
    }
  }

  ConfChangeV2 change() {
    ConfChangeV2 change(static_cast<ConfChangeTransition>(input_.below(3)));
    for (std::uint64_t n = input_.below(4); n > 0; --n)
      change.changes.push_back({static_cast<ConfChangeType>(input_.below(4)), input_.below(5)});
    return change;
  }

  std::vector<Entry> entries(Term term, Index index) {
    std::vector<Entry> list;
    const bool odd = input_.below(8) == 0;
    for (std::uint64_t n = input_.below(4); n > 0; --n) {
      Entry entry{.term = odd ? input_.number(term) : term, .index = odd ? input_.number(index) : ++index};
      switch (input_.below(4)) {
        case 0: entry.data = encode_conf_change(change()), entry.type = EntryType::kConfChangeV2; break;
        case 1: entry.type = static_cast<EntryType>(input_.below(4)); [[fallthrough]];
        default: entry.data = base::SharedBytes(input_.bytes(12));
      }
      list.push_back(std::move(entry));
    }
    return list;
  }

  Message hostile() {
    const Status status = members_[0].node->status();
    Message m;
    m.type = static_cast<MessageType>(input_.byte() % (kLastMessageType + 3));
    m.to = 1;
    m.from = input_.below(8) == 0 ? input_.number(1) : 1 + input_.below(4);
    m.term = input_.number(status.hard_state.term);
    m.index = input_.number(status.last_index);
    // Often what the log has there, or nothing it could refuse would ever pass.
    const auto its_term = members_[0].storage.term(m.index);
    m.log_term = input_.below(3) == 0 ? input_.number(status.hard_state.term) : its_term.value_or(status.hard_state.term);
    m.commit = input_.number(status.last_index);
    m.vote = input_.below(5);
    m.reject = input_.flag();
    m.reject_hint = input_.number(status.last_index);
    if (input_.below(4) == 0) m.context = input_.flag() ? "CampaignTransfer" : input_.bytes(9);
    if (input_.below(2) == 0) m.entries = entries(m.term, m.index);
    if (m.type == MessageType::kSnap || input_.below(8) == 0) m.snapshot = snapshot(status);
    return m;
  }

  std::shared_ptr<const Snapshot> snapshot(const Status& status) {
    Snapshot snapshot{.data = base::SharedBytes(input_.bytes(4)),
                      .metadata = {.index = input_.number(status.last_index), .term = input_.number(status.hard_state.term)}};
    ConfState& state = snapshot.metadata.conf_state;
    for (auto* ids : {&state.voters, &state.learners, &state.voters_outgoing, &state.learners_next}) {
      const std::uint64_t most = ids == &state.voters ? 4 : 2;
      for (std::uint64_t n = input_.below(most); n > 0; --n) ids->push_back(input_.below(5));
    }
    state.auto_leave = input_.flag();
    if (input_.flag()) state = {.voters = {1, 2, 3}};
    return std::make_shared<const Snapshot>(std::move(snapshot));
  }

  void handle_ready(Member& member) {
    if (!member.node->has_ready()) return;
    Ready ready = member.node->ready();
    if (!member.config.async_storage_writes) {
      write(member, ready.hard_state, ready.snapshot, ready.entries);
      take(member, ready.committed_entries);
    }
    for (Message& m : ready.messages) {
      if (m.to == kLocalAppendThread) member.append_work.push_back(std::move(m));
      else if (m.to == kLocalApplyThread) member.apply_work.push_back(std::move(m));
      else send(member, std::move(m));
    }
    if (!member.config.async_storage_writes && !ended_) member.node->advance();
    check(member);
  }
  void append(Member& member) {
    if (member.append_work.empty()) return;
    Message m = std::move(member.append_work.front());
    member.append_work.pop_front();
    write(member, {m.term, m.vote, m.commit}, m.snapshot, m.entries);
    answer(member, std::move(m.responses));
  }
  void apply(Member& member) {
    if (member.apply_work.empty()) return;
    Message m = std::move(member.apply_work.front());
    member.apply_work.pop_front();
    take(member, m.entries);
    if (!ended_) answer(member, std::move(m.responses));
  }
  void answer(Member& member, std::vector<Message> responses) {
    for (Message& m : responses) {
      if (m.to != member.config.id) send(member, std::move(m));
      else static_cast<void>(member.node->step_local(std::move(m)).has_value());
      check(member);
    }
  }
  void send(const Member& member, Message m) {
    require(m.from == member.config.id || m.type == MessageType::kProp || m.type == MessageType::kReadIndex || m.type == MessageType::kTransferLeader,
            "a message in somebody else's name");
    if (network_.size() < 64) network_.push_back(std::move(m));
  }

  void write(Member& member, const HardState& state, const std::shared_ptr<const Snapshot>& snapshot, const std::vector<Entry>& list) {
    if (!state.empty()) {
      require(state.term >= member.promised.term, "the term went back");
      require(state.term > member.promised.term || member.promised.vote == kNone || state.vote == member.promised.vote, "a vote was taken back");
      require(state.commit >= member.promised.commit, "the commit index went back");
      member.promised = state;
      member.storage.set_hard_state(state);
    }
    if (snapshot && member.storage.apply_snapshot(*snapshot)) {
      require(snapshot->metadata.index >= member.applied, "a snapshot of the past was installed");
      member.applied = snapshot->metadata.index;
      member.conf_state = snapshot->metadata.conf_state;
      member.handed_out.clear();
    }
    require(member.storage.append(list).has_value(), "entries behind a gap were handed out");
  }

  void take(Member& member, const std::vector<Entry>& committed) {
    for (const Entry& entry : committed) {
      if (entry.index <= member.applied) continue;  // below a snapshot that came meanwhile
      require(entry.index == member.applied + 1, "committed entries are handed out in order");
      member.applied = entry.index;
      const auto [before, first] = member.handed_out.emplace(entry.index, entry);
      require(first || before->second == entry, "a committed entry was replaced");
      if (entry.type == EntryType::kNormal) continue;
      const auto decoded = decode_conf_change(entry);
      auto state = decoded ? member.node->apply_conf_change(*decoded, entry.index) : base::Result<ConfState>(decoded.error());
      // A majority committed what cannot be: a server stops here.
      if (!state) {
        ended_ = true;
        return;
      }
      member.conf_state = std::move(*state);
    }
  }

  void deliver() {
    if (network_.empty()) return;
    const std::size_t at = input_.below(network_.size());
    Message m = network_[at];
    if (input_.below(4) != 0) network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(at));
    hand_over(std::move(m));
  }
  void hand_over(Message m) {
    if (m.to == 0 || m.to > members_.size()) return;
    Member& to = members_[m.to - 1];
    static_cast<void>(to.node->step(std::move(m)).has_value());
    check(to);
  }
  void settle() {
    for (int rounds = 0; rounds < 12 && !ended_; ++rounds) {
      for (Member& member : members_) {
        handle_ready(member);
        while (!member.append_work.empty() && !ended_) append(member);
        while (!member.apply_work.empty() && !ended_) apply(member);
      }
      for (Message& m : std::exchange(network_, {})) hand_over(std::move(m));
    }
  }

  void compact(Member& member) {
    const Index index = std::min(member.applied, member.node->applied());
    if (index < member.storage.first_index() || index > member.storage.last_index()) return;
    if (member.storage.create_snapshot(index, index == member.applied ? &member.conf_state : nullptr, base::SharedBytes("s")))
      static_cast<void>(member.storage.compact(index).has_value());
  }
  void restart(Member& member) {
    member.append_work.clear();
    member.apply_work.clear();
    member.config.applied = member.applied;
    member.storage.set_conf_state(member.conf_state);
    // What was applied was committed, though the hard state that says so may not have been written.
    HardState state = member.storage.hard_state();
    state.commit = std::max(state.commit, member.applied);
    if (state.commit > member.storage.last_index()) {
      ended_ = true;
      return;
    }
    member.storage.set_hard_state(state);
    auto node = RawNode::create(member.config);
    require(node.has_value(), "a node does not start again from its own storage");
    member.node = std::make_unique<RawNode>(std::move(*node));
    member.committed = 0;
    check(member);
  }

  void check(Member& member) {
    const std::string broken = check_invariants(*member.node);
    require(broken.empty(), broken.c_str());
    require(member.node->committed() >= member.committed, "the commit index went back");
    member.committed = member.node->committed();
  }

  Input& input_;
  std::deque<Member> members_;
  std::vector<Message> network_;
  bool ended_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  Cluster cluster(input);
  cluster.run();
  return 0;
}
