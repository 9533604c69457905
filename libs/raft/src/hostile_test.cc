// Messages that etcd-raft would panic at, or take though no correct peer sends them. What it drops or answers is in
// transcripts/interaction/hostile_messages.txt.
#include <limits>
#include <optional>

#include <doctest/doctest.h>

#include <etcdpp/raft/errc.h>
#include <etcdpp/raft/invariants.h>

#include "test_cluster.h"

namespace etcdpp::raft {
namespace {

using test::Cluster;

constexpr Index kEnd = std::numeric_limits<Index>::max();
constexpr NodeId kFollower = 1;
constexpr NodeId kLeader = 2;

std::shared_ptr<const Snapshot> snapshot(Index index, ConfState state) {
  return std::make_shared<const Snapshot>(Snapshot{.metadata = {.conf_state = std::move(state), .index = index, .term = 2}});
}

struct Case {
  const char* what;
  NodeId to;
  Message message;
  std::optional<Errc> refused{};         ///< No value: step() takes it.
  std::optional<MessageType> answer{};   ///< No value: nothing is sent.
};

/// Three members in term 2; 2 leads; everybody has 5 entries and all are committed.
std::vector<Case> cases() {
  constexpr Term kTerm = 2;
  constexpr Index kLast = 5;
  const auto bytes = [](std::string_view text) { return base::SharedBytes(text); };
  std::vector<Case> all = {
      {"a commit index beyond the log", kFollower, {.type = MessageType::kHeartbeat, .from = 2, .term = kTerm, .commit = kEnd}},
      {"the same in an append is cut to what matches", kFollower,
       {.type = MessageType::kApp, .from = 2, .term = kTerm, .log_term = kTerm, .index = kLast, .commit = kEnd}, {}, MessageType::kAppResp},
      {"entries with a gap between them", kFollower,
       {.type = MessageType::kApp, .from = 2, .term = kTerm, .log_term = kTerm, .index = kLast, .entries = {{.term = 2, .index = 6}, {.term = 2, .index = 8}}},
       Errc::kMalformedMessage},
      {"an entry that does not follow the index before it", kFollower,
       {.type = MessageType::kApp, .from = 2, .term = kTerm, .log_term = kTerm, .index = kLast, .entries = {{.term = 2, .index = 3}}}, Errc::kMalformedMessage},
      {"terms that fall", kFollower,
       {.type = MessageType::kApp, .from = 2, .term = kTerm, .log_term = kTerm, .index = kLast, .entries = {{.term = 1, .index = 6}}}, Errc::kMalformedMessage},
      {"an entry of a term to come", kFollower,
       {.type = MessageType::kApp, .from = 2, .term = kTerm, .log_term = kTerm, .index = kLast, .entries = {{.term = 9, .index = 6}}}, Errc::kMalformedMessage},
      {"an append at the end of all indices", kFollower,
       {.type = MessageType::kApp, .from = 2, .term = kTerm, .log_term = kTerm, .index = kEnd, .entries = {{.term = 2, .index = 0}}}, Errc::kMalformedMessage},
      {"a snapshot there", kFollower, {.type = MessageType::kSnap, .from = 2, .term = kTerm, .snapshot = snapshot(kEnd - 7, {.voters = {1, 2, 3}})},
       Errc::kMalformedMessage},
      {"a snapshot without voters", kFollower, {.type = MessageType::kSnap, .from = 2, .term = kTerm, .snapshot = snapshot(50, {.learners = {1}})}, {},
       MessageType::kAppResp},
      {"a snapshot in which one is voter and learner", kFollower,
       {.type = MessageType::kSnap, .from = 2, .term = kTerm, .snapshot = snapshot(50, {.voters = {1, 2}, .learners = {1}})}, {}, MessageType::kAppResp},
      {"a snapshot with learners to be that are no voters", kFollower,
       {.type = MessageType::kSnap, .from = 2, .term = kTerm, .snapshot = snapshot(50, {.voters = {1, 2}, .voters_outgoing = {1}, .learners_next = {9}})}, {},
       MessageType::kAppResp},
      {"a snapshot message without one", kFollower, {.type = MessageType::kSnap, .from = 2, .term = kTerm}, {}, MessageType::kAppResp},
      {"no term", kFollower, {.type = MessageType::kHeartbeat, .from = 2, .commit = 1}, Errc::kMalformedMessage},
      {"a vote's answer without a term", kLeader, {.type = MessageType::kVoteResp, .from = 1}, Errc::kMalformedMessage},
      {"a type that nobody knows", kFollower, {.type = static_cast<MessageType>(kLastMessageType + 1), .from = 2, .term = kTerm}, Errc::kMalformedMessage},
      {"a negative type", kFollower, {.type = static_cast<MessageType>(-1), .from = 2, .term = kTerm}, Errc::kMalformedMessage},
      {"in its own name", kLeader, {.type = MessageType::kAppResp, .from = kLeader, .term = kTerm, .index = kLast}, Errc::kStepLocalMessage},
      {"in its own disk's name", kFollower, {.type = MessageType::kApp, .from = kLocalAppendThread, .term = kTerm}, Errc::kStepLocalMessage},
      {"an acknowledgement beyond the log", kLeader, {.type = MessageType::kAppResp, .from = 1, .term = kTerm, .index = kLast + 1}},
      {"the same at the end of all indices", kLeader, {.type = MessageType::kAppResp, .from = 1, .term = kTerm, .index = kEnd}},
      {"a rejection with hints of nowhere", kLeader,
       {.type = MessageType::kAppResp, .from = 1, .term = kTerm, .log_term = kEnd, .index = kEnd, .reject = true, .reject_hint = kEnd}, {},
       MessageType::kApp},
      {"a proposal of nothing", kLeader, {.type = MessageType::kProp, .from = 1}, Errc::kMalformedMessage},
      {"a conf change that is garbage", kLeader,
       {.type = MessageType::kProp, .from = 1, .entries = {{.type = EntryType::kConfChange, .data = bytes("\xff\xff")}}}, Errc::kProposalDropped},
      {"a second kind of conf change that is garbage", kLeader,
       {.type = MessageType::kProp, .from = 1, .entries = {{.type = EntryType::kConfChangeV2, .data = bytes("\x12\x7f")}}}, Errc::kProposalDropped},
      {"an entry of a type that nobody knows", kLeader,
       {.type = MessageType::kProp, .from = 1, .entries = {{.type = static_cast<EntryType>(7), .data = bytes("x")}}}, Errc::kProposalDropped},
      {"a read without context", kLeader, {.type = MessageType::kReadIndex, .from = 1}, Errc::kMalformedMessage},
      {"a read with two", kLeader, {.type = MessageType::kReadIndex, .from = 1, .entries = {{}, {}}}, Errc::kMalformedMessage},
      {"a confirmation of a read to come", kLeader,
       {.type = MessageType::kHeartbeatResp, .from = 1, .term = kTerm, .context = std::string(8, '\x7f')}},
  };
  for (Case& one : all) one.message.to = one.to;
  return all;
}

void elect(Cluster& cluster) {
  std::vector<Peer> peers;
  for (NodeId id = 1; id <= 3; ++id) peers.push_back({.id = id});
  for (NodeId id = 1; id <= 3; ++id) cluster.add(id, peers);
  cluster.settle();
  cluster[kLeader].node->campaign();
  cluster.settle();
  REQUIRE(cluster[kLeader].node->propose(base::SharedBytes("x")));
  cluster.settle();
}

/// What it would send to others, its disk being as quick as can be.
std::vector<Message> sent(RawNode& node) {
  std::vector<Message> out;
  if (!node.has_ready()) return out;
  Ready ready = node.ready();
  for (Message& m : ready.messages) {
    for (Message& response : m.responses)
      if (response.to != node.status().id) out.push_back(std::move(response));
    if (!is_local_target(m.to)) out.push_back(std::move(m));
  }
  return out;
}

TEST_CASE("hostile messages: refused, ignored or answered, and nothing that was promised moves") {
  for (Case& one : cases()) {
    CAPTURE(std::string(one.what));
    Cluster cluster(true);
    elect(cluster);
    RawNode& node = *cluster[one.to].node;
    const Status before = node.status();
    REQUIRE(before.committed == 5);
    REQUIRE(before.hard_state.term == 2);
    const auto stepped = node.step(std::move(one.message));
    if (one.refused) {
      REQUIRE_FALSE(stepped);
      CHECK(stepped.error().code == *one.refused);
      CHECK_FALSE(node.has_ready());
    } else {
      CHECK(stepped);
    }
    const std::vector<Message> answers = sent(node);
    CHECK(answers.size() == (one.answer ? 1 : 0));
    if (!answers.empty() && one.answer) CHECK(answers[0].type == *one.answer);
    const Status after = node.status();
    CHECK(after.committed == before.committed);
    CHECK(after.last_index == before.last_index);
    CHECK(after.hard_state == before.hard_state);
    CHECK(after.soft_state == before.soft_state);
    CHECK(check_invariants(node) == "");
    // The cluster goes on.
    if (one.answer || !one.refused) continue;
    REQUIRE(cluster[kLeader].node->propose(base::SharedBytes("y")));
    cluster.settle();
    CHECK(cluster[3].applied.back() == "y");
  }
}

TEST_CASE("hostile messages: the last of all terms ends elections, not the process") {
  Cluster cluster(true);
  elect(cluster);
  RawNode& node = *cluster[kFollower].node;
  REQUIRE(node.step({.type = MessageType::kApp, .to = 1, .from = 3, .term = kEnd, .index = 1, .commit = 1}));
  CHECK(node.term() == kEnd);
  node.campaign();
  CHECK(node.soft_state().role == Role::kFollower);
  CHECK(node.term() == kEnd);
  CHECK(check_invariants(node) == "");
}

}  // namespace
}  // namespace etcdpp::raft
