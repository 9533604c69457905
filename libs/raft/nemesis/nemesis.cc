#include "nemesis.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <fmt/format.h>

#include <etcdpp/base/random.h>
#include <etcdpp/raft/conf_change_codec.h>
#include <etcdpp/raft/invariants.h>
#include <etcdpp/raft/raw_node.h>

#include "raft.h"

namespace etcdpp::raft::nemesis {

namespace {

constexpr NodeId kMaxNodes = 7;
constexpr int kSteps = 4000;

struct AppendWork {
  Message message;
  bool must_sync;
};

struct Node {
  Config config;
  // What reads see, and what survives a crash.
  MemoryStorage storage;
  MemoryStorage durable;
  std::unique_ptr<RawNode> raw;  // null while down
  std::deque<AppendWork> append_work;
  std::deque<Message> apply_work;

  // The application: durable up to app_durable, which is never behind the log's beginning.
  Index app_index = 0;
  Index app_durable = 0;
  std::uint64_t app_state = 0;
  std::map<Index, ConfState> conf_states;

  const ConfState& conf_state_at(Index index) const { return std::prev(conf_states.upper_bound(index))->second; }
};

class Nemesis {
 public:
  Nemesis(std::uint64_t seed, Totals& totals) : random_(seed), totals_(totals), async_(random_.one_in(2)) {
    // Most stories need three members and many steps; some need more.
    const NodeId voters = random_.one_in(2) ? 3 : random_.one_in(3) ? 5 : 1 + random_.below(kMaxNodes);
    node_count_ = std::min(kMaxNodes, voters + random_.below(3));
    nodes_.resize(node_count_ + 1);
    // In thousandths of the steps. Some runs are calm enough to get far, some are storms of elections, crashes, partitions
    // or membership changes; an election takes about a hundred steps, so that a storm may leave no time for one.
    const auto mood = [this](std::uint64_t calm, std::uint64_t busy, std::uint64_t storm) {
      return random_.one_in(2) ? calm : random_.one_in(3) ? storm : busy;
    };
    campaigns_ = mood(1, 6, 30);
    partitions_ = mood(1, 4, 20);
    crashes_ = mood(1, 5, 20);
    conf_changes_ = mood(1, 5, 20);
    losses_ = mood(5, 30, 60);
    for (NodeId id = 1; id <= voters; ++id) bootstrap_.push_back({.id = id});
    Config config{.election_ticks = 5,
                  .async_storage_writes = async_,
                  .max_size_per_message = random_.one_in(2) ? 1u : random_.one_in(2) ? 64u : 4096u,
                  .max_inflight_messages = 1 + random_.below(6),
                  .check_quorum = !random_.one_in(3),
                  .pre_vote = random_.one_in(2)};
    if (random_.one_in(4)) config.max_inflight_bytes = config.max_size_per_message;
    config.max_committed_size_per_ready = random_.one_in(2) ? 0 : 1;
    config.step_down_on_removal = random_.one_in(2);
    if (random_.one_in(4)) config.max_uncommitted_entries_size = 1 + random_.below(40);
    // Reads by lease are left out: they are right only while clocks keep pace, and here nobody's do.
    const bool alike = random_.one_in(2);
    for (NodeId id = 1; id <= node_count_; ++id) {
      Node& node = nodes_[id];
      // A cluster is reconfigured one member after the other. (Not check-quorum: whoever has neither it nor pre-vote is
      // left behind by those that have it, in etcd as well.)
      if (!alike) {
        config.pre_vote = random_.one_in(2);
        config.disable_proposal_forwarding = random_.one_in(4);
      }
      node.config = config;
      node.config.id = id;
      node.config.seed = random_.next();
      node.config.storage = &node.storage;
      node.conf_states[0] = {};
      start(node);
    }
  }

  std::string run() {
    for (int step = 0; step < kSteps && broken_.empty(); ++step) {
      ++totals_.steps;
      disturb();
    }
    storm_ = false;
    if (broken_.empty()) heal();
    totals_.committed += invariants_.committed();
    return broken_;
  }

 private:
  void fail(std::string why) {
    if (broken_.empty()) broken_ = std::move(why);
  }
  void check(const base::Result<>& result, const char* what) {
    if (!result) fail(fmt::format("{}: {}", what, result.error().message()));
  }

  void start(Node& node) {
    auto raw = RawNode::create(node.config);
    if (!raw) return fail("restart: " + raw.error().message());
    node.raw = std::make_unique<RawNode>(std::move(*raw));
    // A first start, or one after a crash before anything of the first was durable.
    if (node.config.id <= bootstrap_.size() && node.storage.last_index() == 0) check(node.raw->bootstrap(bootstrap_), "bootstrap");
    invariants_.restarted(node.config.id);
    observe(node);
  }

  void crash(Node& node) {
    ++totals_.crashes;
    node.raw = nullptr;
    node.append_work.clear();
    node.apply_work.clear();
    node.storage = node.durable;
    // The application comes back with an older state, and gets the entries behind it again.
    node.app_durable = std::max(node.app_durable, node.storage.first_index() - 1);
    node.app_index = node.app_durable;
    node.app_state = invariants_.state_at(node.app_index);
    std::erase_if(node.conf_states, [&](const auto& at) { return at.first > node.app_index; });
  }

  void observe(Node& node) {
    const bool led = leading_.contains(node.config.id);
    const bool leads = node.raw && node.raw->soft_state().role == Role::kLeader;
    if (leads && !led) ++totals_.elections, leading_.insert(node.config.id);
    if (!leads) leading_.erase(node.config.id);
    if (node.raw)
      if (std::string broken = invariants_.observe(*node.raw); !broken.empty()) fail(std::move(broken));
  }

  // ---- one step of one node

  bool handle_ready(Node& node) {
    if (!node.raw || !node.raw->has_ready()) return false;
    Ready ready = node.raw->ready();
    for (const ReadState& read : ready.read_states) {
      const auto asked = reads_.find(std::string(read.context.view()));
      if (asked == reads_.end()) {
        fail("an answer to a read that nobody asked");
      } else if (read.index < asked->second) {
        fail(fmt::format("stale read: {:x} was told index {} for a read asked when {} was committed", node.config.id, read.index, asked->second));
      }
      ++totals_.reads;
    }
    if (async_) {
      for (Message& m : ready.messages) {
        if (m.to == kLocalAppendThread) node.append_work.push_back({std::move(m), ready.must_sync});
        else if (m.to == kLocalApplyThread) node.apply_work.push_back(std::move(m));
        else network_.push_back(std::move(m));
      }
    } else {
      // A leader's appends, heartbeats and snapshots promise nothing of its disk and may leave before it is written.
      const bool leads = node.raw->soft_state().role == Role::kLeader;
      const bool early = leads && random_.one_in(4);
      if (early) send(ready.messages, true);
      if (crashes_at_this_point(node)) return true;
      write(node, ready.hard_state, ready.snapshot, ready.entries, ready.must_sync);
      if (crashes_at_this_point(node)) return true;
      send(ready.messages, false);
      apply(node, ready.committed_entries);
      if (crashes_at_this_point(node)) return true;
      node.raw->advance();
    }
    observe(node);
    return true;
  }

  bool crashes_at_this_point(Node& node) {
    if (!storm_ || !random_.one_in(200)) return false;
    crash(node);
    return true;
  }
  /// Those that may leave early, or all that is left.
  void send(std::vector<Message>& messages, bool early) {
    std::erase_if(messages, [&](Message& m) {
      const bool now = !early || m.type == MessageType::kApp || m.type == MessageType::kHeartbeat || m.type == MessageType::kSnap;
      if (now) network_.push_back(std::move(m));
      return now;
    });
  }

  bool run_append(Node& node) {
    if (!node.raw || node.append_work.empty()) return false;
    AppendWork work = std::move(node.append_work.front());
    node.append_work.pop_front();
    const Message& m = work.message;
    write(node, {m.term, m.vote, m.commit}, m.snapshot, m.entries, work.must_sync);
    answer(node, std::move(work.message.responses));
    return true;
  }
  bool run_apply(Node& node) {
    if (!node.raw || node.apply_work.empty()) return false;
    Message m = std::move(node.apply_work.front());
    node.apply_work.pop_front();
    apply(node, m.entries);
    answer(node, std::move(m.responses));
    return true;
  }
  void answer(Node& node, std::vector<Message> responses) {
    for (Message& response : responses) {
      if (response.to != node.config.id) network_.push_back(std::move(response));
      else static_cast<void>(node.raw->step_local(std::move(response)).has_value());
      observe(node);
    }
  }

  void write(Node& node, const HardState& hard_state, const std::shared_ptr<const Snapshot>& snapshot, const std::vector<Entry>& entries,
             bool must_sync) {
    if (!hard_state.empty()) node.storage.set_hard_state(hard_state);
    if (snapshot) {
      const Index index = snapshot->metadata.index;
      if (base::get_le64(snapshot->data.data()) != invariants_.state_at(index)) fail(fmt::format("snapshot {} holds another state", index));
      check(node.storage.apply_snapshot(*snapshot), "received snapshot");
      node.app_index = node.app_durable = index;
      node.app_state = invariants_.state_at(index);
      node.conf_states = {{index, snapshot->metadata.conf_state}};
    }
    check(node.storage.append(entries), "append");
    if (must_sync || snapshot) node.durable = node.storage;
  }

  void apply(Node& node, const std::vector<Entry>& entries) {
    for (const Entry& entry : entries) {
      if (std::string broken = invariants_.applying(entry); !broken.empty()) return fail(std::move(broken));
      if (entry.type != EntryType::kNormal) {
        const auto change = decode_conf_change(entry);
        if (!change) return fail("a conf change that cannot be read was committed");
        auto state = node.raw->apply_conf_change(*change, entry.index);
        // Its proposer knew another configuration; every application refuses it alike.
        if (!state && state.error().context == "removed all voters") state = node.raw->apply_conf_change(ConfChange{}, entry.index);
        if (!state) return fail("a conf change that cannot be was committed: " + state.error().message());
        ++totals_.conf_changes;
        if (entry.index > node.app_index) node.conf_states[entry.index] = std::move(*state);
        observe(node);
      }
      if (entry.index <= node.app_index) continue;  // again, after a crash
      if (entry.index != node.app_index + 1) return fail(fmt::format("{:x} applies {} after {}", node.config.id, entry.index, node.app_index));
      node.app_index = entry.index;
      node.app_state = invariants_.state_at(entry.index);
    }
    if (random_.one_in(4)) node.app_durable = node.app_index;
  }

  void compact(Node& node) {
    if (!node.raw) return;
    // Only what the application has durably, and raft has applied in this life.
    const Index index = std::min(node.app_index, node.raw->applied());
    if (index < node.storage.first_index() || index > node.durable.last_index()) return;
    node.app_durable = std::max(node.app_durable, index);
    base::SharedBytes data(std::size_t{8});
    base::put_le64(data.mutable_data(), invariants_.state_at(index));
    const ConfState state = node.conf_state_at(index);
    if (!node.storage.create_snapshot(index, &state, data)) return;
    check(node.storage.compact(index), "compact");
    node.durable = node.storage;
    ++totals_.snapshots;
  }

  // ---- the network

  bool cut(const Message& m) const { return partition_.contains(m.from) != partition_.contains(m.to); }

  void deliver(std::size_t at, bool keep) {
    Message m = keep ? network_[at] : std::move(network_[at]);
    if (!keep) {
      network_[at] = std::move(network_.back());
      network_.pop_back();
    }
    const bool snapshot = m.type == MessageType::kSnap;
    Node& to = nodes_[m.to];
    Node& from = nodes_[m.from];
    const bool lost = !to.raw || cut(m);
    if (!lost) {
      static_cast<void>(to.raw->step(std::move(m)).has_value());
      observe(to);
    }
    if (snapshot && from.raw) {
      from.raw->report_snapshot(to.config.id, !lost);
      observe(from);
    } else if (lost && from.raw && random_.one_in(8)) {
      from.raw->report_unreachable(to.config.id);
      observe(from);
    }
  }

  // ---- what happens next

  /// Also one whose time is over and who does not know it.
  Node& any_that_leads(Node& otherwise) {
    const std::uint64_t from = random_.below(node_count_);
    for (NodeId n = 0; n < node_count_; ++n) {
      Node& node = nodes_[1 + (from + n) % node_count_];
      if (node.raw && node.raw->soft_state().role == Role::kLeader) return node;
    }
    return otherwise;
  }
  Node& any() { return nodes_[1 + random_.below(node_count_)]; }
  Node* leader() {
    Node* found = nullptr;
    for (Node& node : nodes_)
      if (node.raw && node.raw->soft_state().role == Role::kLeader && (!found || node.raw->term() > found->raw->term())) found = &node;
    return found;
  }

  void disturb() {
    Node& node = any();
    Node* lead = leader();
    // Each chance is in thousandths; what is left goes to the network and the disks.
    std::uint64_t dice = random_.below(1000);
    const auto chance = [&](std::uint64_t weight) {
      if (dice < weight) return true;
      dice -= weight;
      return false;
    };
    if (chance(campaigns_)) {
      if (node.raw) node.raw->campaign();
      observe(node);
    } else if (chance(crashes_)) {
      crash_or_restart(node);
    } else if (chance(30)) {
      if (!node.raw) start(node);
    } else if (chance(conf_changes_)) {
      propose_conf_change(lead && !random_.one_in(4) ? *lead : node);
    } else if (chance(losses_)) {
      if (!network_.empty()) drop(random_.below(network_.size()));
    } else if (chance(partitions_)) {
      partition_.clear();
      if (!random_.one_in(3))
        for (NodeId id = 1; id <= node_count_; ++id)
          if (random_.one_in(2)) partition_.insert(id);
    } else if (chance(5)) {
      if (node.raw) node.raw->transfer_leader(1 + random_.below(node_count_)), ++totals_.transfers;
      observe(node);
    } else if (chance(30)) {
      read(random_.one_in(2) ? node : any_that_leads(node));
    } else if (chance(20)) {
      if (!network_.empty()) hold_back(random_.below(network_.size()));
    } else if (chance(5)) {
      release_all();
    } else if (chance(6)) {
      compact(node);
    } else if (chance(4)) {
      if (node.raw) node.raw->forget_leader();
      observe(node);
    } else if (chance(60)) {
      propose(random_.one_in(4) || !lead ? node : *lead);
    } else if (chance(80)) {
      if (node.raw) node.raw->tick();
      observe(node);
    } else if (chance(300)) {
      if (!network_.empty()) deliver(random_.one_in(2) ? random_.below(network_.size()) : 0, random_.one_in(20));
    } else if (chance(160)) {
      handle_ready(node);
    } else if (chance(60)) {
      for (NodeId id = 1; id <= node_count_; ++id) {
        if (!random_.one_in(4)) handle_ready(nodes_[id]);
        run_append(nodes_[id]);
      }
    } else if (chance(120)) {
      if (async_) run_append(node);
      else handle_ready(node);
    } else {
      if (async_) run_apply(node);
      else handle_ready(node);
    }
  }

  /// It comes when everything has changed.
  void hold_back(std::size_t at) {
    held_back_.push_back(std::move(network_[at]));
    network_[at] = std::move(network_.back());
    network_.pop_back();
  }
  void release_all() {
    for (Message& m : std::exchange(held_back_, {})) network_.push_back(std::move(m));
  }
  void drop(std::size_t at) {
    // Whoever carries a snapshot says how that ended.
    Node& from = nodes_[network_[at].from];
    if (network_[at].type == MessageType::kSnap && from.raw) from.raw->report_snapshot(network_[at].to, false);
    network_[at] = std::move(network_.back());
    network_.pop_back();
  }
  void crash_or_restart(Node& node) {
    if (node.raw) crash(node);
    else start(node);
  }
  void propose(Node& node) {
    if (!node.raw) return;
    std::vector<base::SharedBytes> payloads;
    for (std::uint64_t n = 1 + random_.below(3); n > 0; --n) payloads.emplace_back(fmt::format("p{}", ++proposed_));
    static_cast<void>(node.raw->propose(payloads).has_value());
    observe(node);
  }
  void propose_conf_change(Node& node) {
    if (!node.raw) return;
    const auto change = [&] { return ConfChangeSingle{static_cast<ConfChangeType>(random_.one_in(3) ? 0 : random_.below(4)), 1 + random_.below(node_count_)}; };
    // A committed change that would leave no voter is the application's to refuse.
    const auto sane = [&](const ConfChangeV2& it) { return ConfChanger(node.raw->raft().tracker(), node.raw->status().last_index).change(it).has_value(); };
    if (random_.one_in(2)) {
      const ConfChangeSingle single = change();
      const ConfChange v1{.type = single.type, .node_id = single.node_id};
      if (sane(ConfChangeV2(v1))) static_cast<void>(node.raw->propose_conf_change(v1).has_value());
    } else {
      ConfChangeV2 v2(static_cast<ConfChangeTransition>(random_.below(3)));
      if (node.raw->raft().tracker().membership.voters.joint()) {
        v2.transition = ConfChangeTransition::kAuto;
      } else if (random_.one_in(2)) {
        for (std::uint64_t n = 1 + random_.below(3); n > 0; --n) v2.changes.push_back(change());
      } else {
        // Another membership altogether, so that the two halves have little in common.
        for (NodeId id = 1; id <= node_count_; ++id)
          v2.changes.push_back({random_.one_in(2) ? ConfChangeType::kAddNode : random_.one_in(3) ? ConfChangeType::kAddLearnerNode : ConfChangeType::kRemoveNode, id});
      }
      if (sane(v2)) static_cast<void>(node.raw->propose_conf_change(v2).has_value());
    }
    observe(node);
  }
  void read(Node& node) {
    if (!node.raw) return;
    const std::string context = fmt::format("r{}", reads_.size());
    reads_[context] = invariants_.committed();
    node.raw->read_index(base::SharedBytes(context));
    observe(node);
  }

  /// Everybody is up and hears everybody: something new commits, and all members come to have it.
  void heal() {
    partition_.clear();
    release_all();
    for (NodeId id = 1; id <= node_count_; ++id)
      if (!nodes_[id].raw) start(nodes_[id]);
    Index wanted = 0;
    int restless = 0;
    for (int round = 0; round < 2000 && broken_.empty(); ++round) {
      if (round == 1000) stop_removed();
      for (NodeId id = 1; id <= node_count_; ++id) {
        if (!nodes_[id].raw) continue;
        nodes_[id].raw->tick();
        observe(nodes_[id]);
      }
      // A proposal may be handed to and fro by two that take each other for the leader, until one of them asks for votes.
      restless = settle() ? 0 : restless + 1;
      if (restless > 40) return fail("liveness: messages without end");
      if (!broken_.empty()) return;
      Node* lead = leader();
      if (!lead) continue;
      // A leader that was removed refuses proposals and may lead on for ever; its server stops it.
      if (!lead->raw->raft().tracker().progress.find(lead->config.id)) {
        crash(*lead);
        continue;
      }
      if (round % 20 == 0) compact(*lead);
      if (wanted == 0) {
        const Index before = invariants_.committed();
        propose(*lead);
        settle();
        if (invariants_.committed() > before) wanted = invariants_.committed();
        continue;
      }
      bool all = true;
      for (const auto& [id, progress] : lead->raw->raft().tracker().progress) all &= nodes_[id].app_index >= wanted && nodes_[id].app_state == invariants_.state_at(nodes_[id].app_index);
      if (all) return;
    }
    if (!broken_.empty() || nobody_can_lead()) return;
    std::string picture;
    for (NodeId id = 1; id <= node_count_; ++id) {
      if (!nodes_[id].raw) continue;
      const Status status = nodes_[id].raw->status();
      picture += fmt::format("\n  {}: {} term {} lead {} committed {} applied {} app {} {}", id, to_string(status.soft_state.role), status.hard_state.term,
                             status.soft_state.lead, status.committed, status.applied, nodes_[id].app_index, nodes_[id].raw->raft().tracker().membership.describe());
      for (const ProgressStatus& progress : status.progress) picture += fmt::format("\n      {}: {}", progress.id, progress.describe());
    }
    fail(fmt::format("liveness: healed, and index {} is still not applied by all members{}", wanted, picture));
  }
  /// Whoever was removed before it came to know may campaign for ever, and raise others' terms above that of the one who
  /// could win, who is told of it only where pre-vote is on. Once no other counts it as a member, its operator stops it.
  void stop_removed() {
    for (Node& node : nodes_) {
      if (!node.raw) continue;
      const bool counted = std::ranges::any_of(nodes_, [&](const Node& other) {
        return other.raw && &other != &node && other.raw->raft().tracker().progress.find(node.config.id);
      });
      if (!counted) crash(node);
    }
  }
  /// Whoever was removed or demoted while leading may have entries that nobody else has; it votes for no shorter log
  /// and cannot campaign itself. Where its vote is needed by those who do not know of the change yet, etcd's membership
  /// changes end here too (thesis 4.2.2 would have it step down first).
  bool nobody_can_lead() {
    if (leader()) return false;
    const Node* longest = nullptr;
    EntryId last;
    for (const Node& node : nodes_) {
      if (!node.raw) continue;
      const EntryId id = node.raw->raft().log().last_entry_id();
      if (!longest || id.term > last.term || (id.term == last.term && id.index > last.index)) longest = &node, last = id;
    }
    return longest && !longest->raw->raft().tracker().membership.voters.contains(longest->config.id);
  }
  /// False when there is still something to do after a long while.
  bool settle() {
    for (int turn = 0; turn < 200 && broken_.empty(); ++turn) {
      bool busy = false;
      for (NodeId id = 1; id <= node_count_; ++id) {
        busy |= handle_ready(nodes_[id]);
        busy |= run_append(nodes_[id]);
        busy |= run_apply(nodes_[id]);
      }
      for (std::size_t n = network_.size(); n > 0 && broken_.empty(); --n) deliver(0, false), busy = true;
      if (!busy) return true;
    }
    return false;
  }

  base::Random random_;
  Totals& totals_;
  const bool async_;
  NodeId node_count_ = 0;
  std::uint64_t campaigns_ = 0;
  std::uint64_t partitions_ = 0;
  std::uint64_t crashes_ = 0;
  std::uint64_t conf_changes_ = 0;
  std::uint64_t losses_ = 0;
  bool storm_ = true;  ///< Until everything is healed at the end.
  std::vector<Peer> bootstrap_;
  std::vector<Node> nodes_;  // by id; 0 is unused
  std::vector<Message> network_;
  std::vector<Message> held_back_;
  std::set<NodeId> partition_;
  std::set<NodeId> leading_;
  std::map<std::string, Index> reads_;
  ClusterInvariants invariants_;
  std::uint64_t proposed_ = 0;
  std::string broken_;
};

}  // namespace

std::string run(std::uint64_t seed, Totals& totals) { return Nemesis(seed, totals).run(); }

}  // namespace etcdpp::raft::nemesis
