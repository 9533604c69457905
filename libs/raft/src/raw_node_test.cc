#include <etcdpp/raft/raw_node.h>

#include <chrono>

#include <doctest/doctest.h>

#include <etcdpp/base/random.h>
#include <etcdpp/raft/errc.h>

#include "test_cluster.h"

namespace etcdpp::raft {
namespace {

using test::Cluster;
using test::Member;

base::SharedBytes bytes(std::string_view text) { return base::SharedBytes(text); }

std::vector<Peer> peers(NodeId count) {
  std::vector<Peer> list;
  for (NodeId id = 1; id <= count; ++id) list.push_back({.id = id});
  return list;
}

void elect(Cluster& cluster, NodeId id) {
  cluster.settle();
  cluster[id].node->campaign();
  cluster.settle();
  REQUIRE(cluster.leader() == id);
}

TEST_CASE("raw node: a single member bootstraps, campaigns, commits and restarts in both storage modes") {
  for (const bool async : {false, true}) {
    CAPTURE(async);
    Cluster cluster(async);
    Member& member = cluster.add(1, peers(1));
    CHECK_FALSE(member.node->may_campaign_alone());  // the bootstrap entry is committed, not applied
    member.node->campaign();
    CHECK(member.node->soft_state().role == Role::kFollower);
    cluster.settle();
    CHECK(member.applied_index == 1);
    CHECK(member.node->may_campaign_alone());
    elect(cluster, 1);
    CHECK_FALSE(member.node->may_campaign_alone());
    REQUIRE(member.node->propose(bytes("a")));
    const std::vector<base::SharedBytes> batch{bytes("b"), bytes("c")};
    REQUIRE(member.node->propose(batch));
    cluster.settle();
    CHECK(member.applied == std::vector<std::string>{"a", "b", "c"});
    member.node->read_index(bytes("read"));
    cluster.settle();
    CHECK(member.reads == std::vector<ReadState>{{5, bytes("read")}});
    CHECK(member.storage->hard_state() == HardState{2, 1, 5});

    member.restart();
    CHECK(member.node->committed() == 5);
    CHECK(member.node->status().conf_state.voters == std::vector<NodeId>{1});
    CHECK(member.node->may_campaign_alone());
    elect(cluster, 1);
    REQUIRE(member.node->propose(bytes("d")));
    cluster.settle();
    CHECK(member.applied.back() == "d");
    CHECK(member.node->term() == 3);
  }
}

TEST_CASE("raw node: a restart without an applied index hands everything out again") {
  Cluster cluster(true);
  Member& member = cluster.add(1, peers(1));
  elect(cluster, 1);
  REQUIRE(member.node->propose(bytes("a")));
  cluster.settle();
  member.applied.clear();
  member.applied_index = 0;
  member.conf_state = {};
  member.restart();
  member.node->campaign();
  CHECK(member.node->soft_state().role == Role::kFollower);  // it is no voter before it has applied that
  cluster.settle();
  CHECK(member.applied == std::vector<std::string>{"a"});
  CHECK(member.conf_state.voters == std::vector<NodeId>{1});
}

TEST_CASE("raw node: bootstrap refuses a log with entries, and no peers") {
  Cluster cluster(false);
  Member& member = cluster.add(1, peers(1));
  CHECK(member.node->bootstrap({}).error().code == Errc::kBootstrapWithoutPeers);
  cluster.settle();
  CHECK(member.node->bootstrap(peers(1)).error().code == Errc::kBootstrapNonEmpty);
}

TEST_CASE("raw node: an unwritten entry is not committed, an unwritten vote does not elect") {
  Cluster cluster(true);
  Member& member = cluster.add(1, peers(1));
  cluster.settle();
  member.node->campaign();
  const auto acknowledge = [&](Message& append) {
    member.write({append.term, append.vote, append.commit}, append.snapshot, append.entries);
    for (Message& response : append.responses) REQUIRE(member.node->step_local(std::move(response)));
  };
  Ready prevote = member.node->ready();
  CHECK(member.node->soft_state().role == Role::kPreCandidate);
  acknowledge(prevote.messages.back());
  Ready vote = member.node->ready();
  CHECK(vote.must_sync);
  CHECK(member.node->soft_state().role == Role::kCandidate);
  acknowledge(vote.messages.back());
  CHECK(member.node->soft_state().role == Role::kLeader);
  Ready entry = member.node->ready();
  CHECK_FALSE(member.node->has_ready());
  CHECK(member.node->committed() == 1);
  acknowledge(entry.messages.back());
  CHECK(member.node->committed() == 2);
}

TEST_CASE("raw node: a leader's messages leave before its own disk, a follower's answers do not") {
  Cluster cluster(true);
  for (NodeId id = 1; id <= 3; ++id) cluster.add(id, peers(3));
  elect(cluster, 1);
  REQUIRE(cluster[1].node->propose(bytes("x")));
  Ready leader = cluster[1].node->ready();
  REQUIRE(leader.messages.size() == 3);
  CHECK(leader.messages[0].type == MessageType::kApp);
  CHECK(leader.messages[2].type == MessageType::kStorageAppend);
  REQUIRE(cluster[2].node->step(leader.messages[0]));
  Ready follower = cluster[2].node->ready();
  REQUIRE(follower.messages.size() == 1);
  CHECK(follower.messages[0].type == MessageType::kStorageAppend);
  CHECK(follower.messages[0].responses[0].to == 1);
}

TEST_CASE("raw node: three members elect, replicate, lose their leader and go on, in both storage modes") {
  for (const bool async : {false, true}) {
    CAPTURE(async);
    Cluster cluster(async);
    for (NodeId id = 1; id <= 3; ++id) cluster.add(id, peers(3));
    cluster.tick(40);
    const NodeId first = cluster.leader();
    REQUIRE(first != kNone);
    REQUIRE(cluster[first].node->propose(bytes("one")));
    cluster.settle();
    for (auto& [id, member] : cluster.members()) CHECK(member.applied == std::vector<std::string>{"one"});

    // Cut off, the leader cannot commit, and steps down; the others elect another.
    cluster.drop = [&](const Message& m) { return m.from == first || m.to == first; };
    REQUIRE(cluster[first].node->propose(bytes("lost")));
    cluster.tick(60);
    CHECK(cluster[first].node->soft_state().role != Role::kLeader);
    const NodeId second = cluster.leader();
    REQUIRE(second != first);
    REQUIRE(cluster[second].node->propose(bytes("two")));
    cluster.settle();

    cluster.drop = nullptr;
    cluster.tick(60);
    for (auto& [id, member] : cluster.members()) CHECK(member.applied == std::vector<std::string>{"one", "two"});

    // A follower forwards.
    const NodeId leader = cluster.leader();
    const NodeId follower = leader == 1 ? 2 : 1;
    REQUIRE(cluster[follower].node->propose(bytes("three")));
    cluster[follower].node->read_index(bytes("r"));
    cluster.settle();
    for (auto& [id, member] : cluster.members()) CHECK(member.applied.back() == "three");
    CHECK(cluster[follower].reads.size() == 1);
  }
}

TEST_CASE("raw node: messages dropped at random are made up for") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    base::Random random(seed);
    Cluster cluster(seed % 2 == 0);
    for (NodeId id = 1; id <= 3; ++id) cluster.add(id, peers(3));
    cluster.drop = [&](const Message&) { return random.one_in(5); };
    int proposed = 0;
    for (int round = 0; round < 400; ++round) {
      cluster.tick();
      if (const NodeId leader = cluster.leader(); leader != kNone)
        if (cluster[leader].node->propose(bytes(std::to_string(round)))) ++proposed;
    }
    cluster.drop = nullptr;
    cluster.tick(60);
    CHECK(proposed > 100);
    CHECK(cluster[1].applied.size() > 50);
    for (auto& [id, member] : cluster.members()) CHECK(member.applied == cluster[1].applied);
  }
}

TEST_CASE("raw node: a member is added with a snapshot, leads after a transfer, and the old leader is removed") {
  for (const bool async : {false, true}) {
    CAPTURE(async);
    Cluster cluster(async);
    cluster.add(1, peers(1));
    elect(cluster, 1);
    for (int i = 0; i < 10; ++i) REQUIRE(cluster[1].node->propose(bytes("x")));
    cluster.settle();
    REQUIRE(cluster[1].storage->create_snapshot(cluster[1].applied_index, &cluster[1].conf_state, bytes("state")));
    REQUIRE(cluster[1].storage->compact(cluster[1].applied_index));
    cluster.add(2);
    REQUIRE(cluster[1].node->propose_conf_change(ConfChange{.id = 7, .type = ConfChangeType::kAddLearnerNode, .node_id = 2}));
    cluster.settle();
    REQUIRE(cluster[1].storage->create_snapshot(cluster[1].applied_index, &cluster[1].conf_state, bytes("state")));
    cluster.tick(3);
    CHECK(cluster[2].applied.front() == "state");
    CHECK(cluster[1].node->status().progress[1].state == ProgressState::kReplicate);
    CHECK(cluster[1].node->status().progress[1].is_learner);
    cluster[1].node->transfer_leader(2);
    cluster.settle();
    CHECK(cluster.leader() == 1);  // a learner cannot lead
    REQUIRE(cluster[1].node->propose_conf_change(ConfChange{.type = ConfChangeType::kAddNode, .node_id = 2}));
    cluster.settle();
    cluster[1].node->transfer_leader(2);
    cluster.settle();
    CHECK(cluster.leader() == 2);
    REQUIRE(cluster[2].node->propose_conf_change(ConfChange{.type = ConfChangeType::kRemoveNode, .node_id = 1}));
    cluster.settle();
    CHECK(cluster[2].conf_state.voters == std::vector<NodeId>{2});
    REQUIRE(cluster[2].node->propose(bytes("alone")));
    cluster.settle();
    CHECK(cluster[2].applied.back() == "alone");
  }
}

TEST_CASE("raw node: conf changes are one at a time, refused ones become empty entries") {
  Cluster cluster(true);
  cluster.add(1, peers(1));
  elect(cluster, 1);
  REQUIRE(cluster[1].node->propose_conf_change(ConfChange{.type = ConfChangeType::kAddLearnerNode, .node_id = 2}));
  REQUIRE(cluster[1].node->propose_conf_change(ConfChange{.type = ConfChangeType::kAddLearnerNode, .node_id = 3}));
  cluster.settle();
  CHECK(cluster[1].conf_state.learners == std::vector<NodeId>{2});
  CHECK(cluster[1].applied_index == 4);
  CHECK(cluster[1].node->apply_conf_change(ConfChange{.type = ConfChangeType::kRemoveNode, .node_id = 1}).error().code == Errc::kBadConfChange);
  CHECK(cluster[1].node->apply_conf_change(ConfChange{.type = ConfChangeType::kRemoveNode, .node_id = 0})->voters == std::vector<NodeId>{1});
}

TEST_CASE("raw node: a joint change with auto-leave ends outside of it") {
  for (const bool async : {false, true}) {
    Cluster cluster(async);
    for (NodeId id = 1; id <= 3; ++id) cluster.add(id, peers(3));
    cluster.add(4);
    elect(cluster, 1);
    REQUIRE(cluster[1].node->propose_conf_change(ConfChangeV2(
        ConfChangeTransition::kAuto, {{ConfChangeType::kAddNode, 4}, {ConfChangeType::kAddLearnerNode, 3}})));
    cluster.tick(5);
    for (auto& [id, member] : cluster.members()) CHECK(member.conf_state == ConfState{.voters = {1, 2, 4}, .learners = {3}});
  }
}

TEST_CASE("raw node: proposals without a leader, and beyond the uncommitted limit, are dropped") {
  Cluster cluster(true);
  cluster.configure = [](Config& config) { config.max_uncommitted_entries_size = 10; };
  cluster.add(1, peers(1));
  CHECK(cluster[1].node->propose(bytes("x")).error().code == Errc::kProposalDropped);
  elect(cluster, 1);
  REQUIRE(cluster[1].node->propose(bytes("larger than the limit")));
  CHECK(cluster[1].node->propose(bytes("x")).error().code == Errc::kProposalDropped);
  cluster.settle();
  CHECK(cluster[1].node->propose(bytes("x")));
}

TEST_CASE("raw node: lease based reads and forget leader") {
  Cluster cluster(false);
  cluster.configure = [](Config& config) { config.read_only = ReadOnlyOption::kLeaseBased; };
  for (NodeId id = 1; id <= 3; ++id) cluster.add(id, peers(3));
  elect(cluster, 1);
  cluster[1].node->read_index(bytes("r"));
  CHECK(cluster[1].node->ready().read_states.size() == 1);
  cluster[2].node->forget_leader();
  CHECK(cluster[2].node->soft_state().lead == 1);
}

TEST_CASE("raw node: a read is answered only after a quorum has confirmed the leader") {
  Cluster cluster(true);
  for (NodeId id = 1; id <= 5; ++id) cluster.add(id, peers(5));
  elect(cluster, 1);
  int heartbeats = 0;
  cluster.drop = [&](const Message& m) { return m.type == MessageType::kHeartbeatResp && ++heartbeats != 0; };
  cluster[1].node->read_index(bytes("a"));
  cluster[1].node->read_index(bytes("b"));
  cluster.settle();
  CHECK(heartbeats == 8);
  CHECK(cluster[1].reads.empty());
  cluster.drop = [](const Message& m) { return m.from > 2; };
  cluster.tick();
  CHECK(cluster[1].reads.empty());  // two of five
  cluster.drop = [](const Message& m) { return m.from > 3; };
  cluster.tick();
  REQUIRE(cluster[1].reads.size() == 2);  // one round for both
  CHECK(cluster[1].reads[1].context == bytes("b"));
}

TEST_CASE("raw node: bad configurations are refused with a reason") {
  MemoryStorage storage;
  const Config good{.id = 1, .storage = &storage};
  CHECK(RawNode::create(good));
  const auto refused = [&](auto change) {
    Config config = good;
    change(config);
    return RawNode::create(config).error().code == Errc::kBadConfig;
  };
  CHECK(refused([](Config& c) { c.id = 0; }));
  CHECK(refused([](Config& c) { c.id = kLocalApplyThread; }));
  CHECK(refused([](Config& c) { c.storage = nullptr; }));
  CHECK(refused([](Config& c) { c.election_ticks = 1; }));
  CHECK(refused([](Config& c) { c.heartbeat_ticks = 0; }));
  CHECK(refused([](Config& c) { c.max_inflight_messages = 0; }));
  CHECK(refused([](Config& c) { c.max_inflight_bytes = 1; }));
  CHECK(refused([](Config& c) { c.applied = 9; }));
  CHECK(refused([](Config& c) { c.check_quorum = false, c.read_only = ReadOnlyOption::kLeaseBased; }));
  storage.set_hard_state({1, 1, 9});
  CHECK(RawNode::create(good).error().code == Errc::kBadConfig);  // commits what the log does not have
}

/// Messages as an enemy would make them: plausible fields, wild values, known and unknown senders.
Message hostile(base::Random& random) {
  const auto number = [&]() -> std::uint64_t {
    switch (random.below(4)) {
      case 0: return random.below(4);
      case 1: return random.below(30);
      case 2: return ~random.below(3);
      default: return random.next();
    }
  };
  Message m;
  m.type = static_cast<MessageType>(random.below(26)) ;
  m.to = 1;
  m.from = random.one_in(8) ? number() : 1 + random.below(4);
  m.term = random.one_in(6) ? number() : random.below(5);
  m.log_term = random.one_in(4) ? number() : random.below(4);
  m.index = random.one_in(4) ? number() : random.below(12);
  m.commit = number();
  m.vote = number();
  m.reject = random.one_in(3);
  m.reject_hint = number();
  m.context = std::string(random.below(12), 'c');
  if (random.one_in(3))
    for (std::uint64_t n = random.below(4), at = random.one_in(4) ? number() : m.index; n > 0; --n)
      m.entries.push_back({static_cast<EntryType>(random.below(4)), random.one_in(4) ? number() : random.below(5), ++at,
                           base::SharedBytes(std::string(random.below(9), static_cast<char>(random.below(40))))});
  if (random.one_in(3)) {
    Snapshot snapshot{.metadata = {.index = number(), .term = number()}};
    for (std::uint64_t n = random.below(4); n > 0; --n) snapshot.metadata.conf_state.voters.push_back(random.below(4));
    for (std::uint64_t n = random.below(3); n > 0; --n) snapshot.metadata.conf_state.learners.push_back(number());
    if (random.one_in(4)) snapshot.metadata.conf_state.voters_outgoing.push_back(random.below(4));
    m.snapshot = std::make_shared<Snapshot>(std::move(snapshot));
  }
  return m;
}

TEST_CASE("raw node: hostile messages never end the process") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    base::Random random(seed);
    Cluster cluster(seed % 2 == 0);
    for (NodeId id = 1; id <= 3; ++id) cluster.add(id, peers(3));
    cluster.settle();
    if (random.one_in(2)) cluster[1].node->campaign();
    cluster.settle();
    for (int round = 0; round < 200; ++round) {
      Member& member = cluster[1];
      static_cast<void>(member.node->step(hostile(random)).has_value());
      if (random.one_in(10)) member.node->tick();
      if (random.one_in(20)) static_cast<void>(member.node->propose(bytes("p")).has_value());
      // Not settle(): applying what an enemy made a majority of one believe is the server's problem.
      while (member.node->has_ready()) {
        Ready ready = member.node->ready();
        if (seed % 2 == 0) break;
        member.storage->set_hard_state(ready.hard_state.empty() ? member.storage->hard_state() : ready.hard_state);
        if (ready.snapshot) static_cast<void>(member.storage->apply_snapshot(*ready.snapshot).has_value());
        REQUIRE(member.storage->append(ready.entries));
        for (const Entry& entry : ready.committed_entries)
          if (entry.type != EntryType::kNormal)
            if (const auto change = decode_conf_change(entry)) static_cast<void>(member.node->apply_conf_change(*change).has_value());
        member.node->advance();
      }
    }
  }
}

}  // namespace
}  // namespace etcdpp::raft
