#include <etcdpp/raft/node.h>

#include <doctest/doctest.h>

#include <etcdpp/raft/conf_change_codec.h>
#include <etcdpp/raft/errc.h>

namespace etcdpp::raft {
namespace {

Proposal proposal(std::uint64_t ticket, std::string_view data, std::uint32_t wait = 0) {
  Proposal it{.ticket = ticket, .max_wait_ticks = wait};
  it.entries.push_back({.data = base::SharedBytes(data)});
  return it;
}

/// A server in small: writes and applies at once, answers through the inbox.
struct Owner final : NodeOwner {
  MemoryStorage storage;
  Node* node = nullptr;
  bool async;
  bool automatic = true;
  std::vector<std::string> applied;
  std::vector<std::size_t> appended;
  std::vector<std::uint64_t> refused;
  std::error_code why;
  std::vector<Message> sent;

  explicit Owner(bool asynchronous) : async(asynchronous) {}

  void apply(const std::vector<Entry>& entries) {
    for (const Entry& entry : entries) {
      if (entry.type != EntryType::kNormal) REQUIRE(node->raw().apply_conf_change(*decode_conf_change(entry)));
      else if (!entry.data.empty()) applied.emplace_back(entry.data.view());
    }
  }
  void handle_ready(Ready ready) override {
    if (async) {
      for (Message& m : ready.messages) {
        if (m.to == kLocalAppendThread) {
          if (!m.entries.empty()) appended.push_back(m.entries.size());
          REQUIRE(storage.append(m.entries));
          node->storage_done(std::move(m.responses));
        } else if (m.to == kLocalApplyThread) {
          apply(m.entries);
          node->storage_done(std::move(m.responses));
        } else {
          sent.push_back(std::move(m));
        }
      }
      return;
    }
    if (!ready.entries.empty()) appended.push_back(ready.entries.size());
    REQUIRE(storage.append(ready.entries));
    apply(ready.committed_entries);
    if (automatic) node->advance();
  }
  void proposal_refused(const Proposal& it, const base::Error& error) override {
    refused.push_back(it.ticket);
    why = error.code;
  }
  void message_refused(NodeId, MessageType, const base::Error& error) override { why = error.code; }
};

RawNode bootstrapped(Owner& owner) {
  RawNode raw = RawNode::create({.id = 1, .storage = &owner.storage, .async_storage_writes = owner.async}).value();
  const std::vector<Peer> peers{{.id = 1}};
  raw.bootstrap(peers).value();
  return raw;
}

TEST_CASE("node: proposals wait for a leader and go in as one append, in both storage modes") {
  for (const bool async : {false, true}) {
    Owner owner(async);
    Node node(bootstrapped(owner), owner, async, 1 << 20);
    owner.node = &node;
    CHECK(node.propose(proposal(1, "a")));
    while (node.step()) {
    }
    CHECK(owner.applied.empty());
    CHECK(node.propose(proposal(2, "b")));
    node.campaign();
    while (node.step()) {
    }
    CHECK(owner.applied == std::vector<std::string>{"a", "b"});
    CHECK(owner.appended.back() == 3);  // both, and the new leader's own
    CHECK(owner.refused.empty());
    CHECK_FALSE(node.step());
  }
}

TEST_CASE("node: a proposal that waits too long is refused, and the bound holds while it waits") {
  Owner owner(true);
  Node node(bootstrapped(owner), owner, true, 1000);
  owner.node = &node;
  CHECK_FALSE(node.crowded());
  CHECK(node.propose(proposal(1, std::string(500, 'x'), 2)));
  CHECK(node.crowded());
  node.step();
  CHECK(node.crowded());  // it still waits, for a leader
  CHECK_FALSE(node.propose(proposal(2, std::string(500, 'x'))));
  node.tick();
  node.step();
  CHECK(owner.refused.empty());
  node.tick();
  node.step();
  CHECK(owner.refused == std::vector<std::uint64_t>{1});
  CHECK(owner.why == Errc::kProposalExpired);
  CHECK_FALSE(node.crowded());
  CHECK(node.propose(proposal(3, std::string(500, 'x'))));
}

TEST_CASE("node: synchronous mode has one ready in flight") {
  Owner owner(false);
  owner.automatic = false;
  Node node(bootstrapped(owner), owner, false, 1000);
  owner.node = &node;
  node.step();
  CHECK(node.receive({.type = MessageType::kVote, .from = 2, .term = 5, .log_term = 1, .index = 1}));
  CHECK(node.step());
  CHECK(node.raw().has_ready());
  CHECK_FALSE(node.step());
  node.advance();
  node.advance();  // one too many is ignored
  CHECK(node.step());
  CHECK_FALSE(node.raw().has_ready());
}

TEST_CASE("node: a proposal of one term is refused before it, behind it and where nobody leads") {
  Owner owner(true);
  Node node(bootstrapped(owner), owner, true, 1 << 20);
  owner.node = &node;
  const auto of_term = [](std::uint64_t ticket, Term term) {
    Proposal it = proposal(ticket, "x");
    it.only_in_term = term;
    return it;
  };
  CHECK(node.propose(of_term(1, 1)));
  while (node.step()) {
  }
  CHECK(owner.refused == std::vector<std::uint64_t>{1});
  CHECK(owner.why == Errc::kProposalDropped);
  node.campaign();
  while (node.step()) {
  }
  const Term term = node.raw().term();
  REQUIRE(term > 1);
  for (const Term other : {term - 1, term + 1}) CHECK(node.propose(of_term(2 + other, other)));
  CHECK(node.propose(of_term(100, term)));
  while (node.step()) {
  }
  CHECK(owner.refused == std::vector<std::uint64_t>{1, 1 + term, 3 + term});
  CHECK(owner.applied == std::vector<std::string>{"x"});
  // Another member leads a later term: nothing of the old one follows, nor is it sent there.
  CHECK(node.receive({.type = MessageType::kHeartbeat, .from = 2, .term = term + 1}));
  CHECK(node.propose(of_term(101, term)));
  owner.sent.clear();
  while (node.step()) {
  }
  CHECK(owner.refused.back() == 101);
  for (const Message& message : owner.sent) CHECK(message.type != MessageType::kProp);
}

TEST_CASE("node: stop refuses what waits and takes nothing more") {
  Owner owner(true);
  Node node(bootstrapped(owner), owner, true, 1000);
  owner.node = &node;
  CHECK(node.propose(proposal(1, "a")));
  node.step();
  CHECK(node.propose(proposal(2, "b")));
  node.stop();
  CHECK_FALSE(node.propose(proposal(3, "c")));
  node.step();
  CHECK(node.stopped());
  CHECK(owner.refused == std::vector<std::uint64_t>{1, 2});
  CHECK(owner.why == Errc::kStopped);
}

TEST_CASE("node: status, conf changes and peers' messages go through the inbox") {
  Owner owner(true);
  Node node(bootstrapped(owner), owner, true, 1 << 20);
  owner.node = &node;
  node.campaign();
  node.step();
  Index seen = 0;
  std::size_t learners = 0;
  node.apply_conf_change(ConfChangeV2(ConfChange{.type = ConfChangeType::kAddLearnerNode, .node_id = 2}), 2,
                         [&](base::Result<ConfState> state) { learners = state->learners.size(); });
  node.status([&](Status status) { seen = status.last_index; });
  CHECK(node.receive({.type = MessageType::kHup, .from = 2, .term = 9}));
  node.step();
  CHECK(seen == 1);
  CHECK(learners == 1);
  CHECK(owner.why == Errc::kStepLocalMessage);
}

}  // namespace
}  // namespace etcdpp::raft
