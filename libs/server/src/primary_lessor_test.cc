// Leases of a cluster beside what its clients were promised. The cluster is as hostile as raft allows: leaders change at any
// moment, the old one may not hear of it for as long as the run lasts, processes are stopped and go on in any order, ticks
// are slow, entries at the end of a deposed leader's log are lost or committed by the next one.
#include "primary_lessor.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <set>

#include <doctest/doctest.h>

#include <etcdserverpb/raft_internal.pb.h>

#include <etcdpp/base/random.h>

#include "errc.h"

namespace etcdpp::server {
namespace {

using namespace std::chrono_literals;
using base::Instant;

struct Rows final : lease::LeaseRows {
  std::map<base::Bytes, base::Bytes> rows;
  void put(base::BytesView key, base::BytesView value) override { rows[base::Bytes(key)] = base::Bytes(value); }
  void erase(base::BytesView key) override { rows.erase(base::Bytes(key)); }
};

struct Silent final : base::Logger {
  bool enabled(base::LogLevel) const override { return false; }
  void write(base::LogLevel, std::string_view, std::string_view, std::initializer_list<base::LogField>, std::source_location) override {}
};

struct Entry {
  std::uint64_t term = 0;
  std::uint64_t leader = 0;  // of that term
  std::uint64_t id = 0;
  RequestField field{};
  std::string request;  // none: the leader's first entry
};

class Cluster;

/// One member: what is on disk, and what goes with the process.
struct Node {
  Node(Cluster& cluster, std::uint64_t id);
  void start();
  void apply(const Entry& entry);

  Cluster& cluster;
  const std::uint64_t id;
  MemberState state;
  MemberMetrics metrics;
  Rows rows;
  std::size_t applied = 0;
  bool suspended = false;
  bool checkpoints;
  std::unique_ptr<lease::Lessor> lessor;
  std::unique_ptr<PrimaryLessor> primary;
  std::map<std::uint64_t, PrimaryLessor::Proposed> proposals;
  struct Round {
    Instant asked_at;
    std::move_only_function<void(base::Result<>)> done;
  };
  std::vector<Round> rounds;
  struct Wait {
    std::size_t index;
    std::move_only_function<void(base::Result<>)> then;
  };
  std::vector<Wait> waits;
};

class Cluster {
 public:
  explicit Cluster(std::uint64_t seed) : random(seed) {
    for (std::uint64_t id = 1; id <= 3; ++id) nodes.push_back(std::make_unique<Node>(*this, id));
    elect();
  }

  Node& node(std::uint64_t id) { return *nodes[id - 1]; }
  Node& any() { return *nodes[random.below(nodes.size())]; }
  bool leads(const Node& n) const { return n.id == leader && n.state.term == term; }

  /// Somebody else leads from now on; the old leader need not know. Of what was not committed a prefix survives.
  void elect() {
    Node& next = any();
    if (next.suspended) return;
    ++term;
    leader = next.id;
    tail.resize(random.below(tail.size() + 1));
    learn(next);
    tail.push_back({.term = term, .leader = leader, .id = ++ids, .field = {}, .request = {}});
  }
  /// The member hears who leads.
  void learn(Node& n) {
    const bool was = n.state.is_leader() && n.state.term != term;
    n.state.term = term;
    n.state.leader = leader;
    if (was || n.id != leader) n.primary->demote();
    if (n.id != leader) {
      // What it proposed and is not in the log by now is given up.
      for (auto& [id, done] : std::exchange(n.proposals, {})) done(base::Error(Errc::kTimeout));
    }
  }
  void commit() {
    for (std::size_t count = random.below(tail.size() + 1); count > 0; --count) {
      const Entry& entry = tail.front();
      if (entry.field == RequestField::kLeaseRevoke) {
        etcdserverpb::LeaseRevokeRequest request;
        request.ParseFromString(entry.request);
        ++revocations;
        const auto promise = promises.find(request.id());
        // The point of it all.
        if (promise != promises.end()) {
          INFO("lease ", request.id(), " ended ", (promise->second - clock.now()) / 1ms, " ms too early");
          REQUIRE(promise->second <= clock.now());
          promises.erase(promise);
        }
      }
      log.push_back(entry);
      tail.pop_front();
    }
  }
  void catch_up(Node& n, std::size_t to) {
    while (n.applied < to) n.apply(log[n.applied++]);
    for (std::size_t i = 0; i < n.waits.size();) {
      if (n.waits[i].index > n.applied) {
        ++i;
        continue;
      }
      auto then = std::move(n.waits[i].then);
      n.waits.erase(n.waits.begin() + static_cast<std::ptrdiff_t>(i));
      then({});
    }
  }
  /// Rounds are confirmed by whoever leads now, also to a member that does not lead; where nobody answers they fail late.
  void answer_rounds(Node& n) {
    for (auto& round : std::exchange(n.rounds, {})) {
      if (leads(n) || (!n.state.is_leader() && random.one_in(2))) {
        catch_up(n, log.size());
        round.done({});
      } else if (clock.now() - round.asked_at > 7s || n.state.term != term ? random.one_in(3) : false) {
        round.done(base::Error(Errc::kTimeout));
      } else {
        n.rounds.push_back(std::move(round));
      }
    }
  }
  void grant() {
    if (!leads(node(leader)) || node(leader).suspended) return;
    etcdserverpb::LeaseGrantRequest request;
    const std::int64_t id = ++newest;
    request.set_id(id);
    request.set_ttl(static_cast<std::int64_t>(random.one_in(2) ? 2 : 1 + random.below(30)));
    tail.push_back({.term = term, .leader = leader, .id = ++ids, .field = RequestField::kLeaseGrant, .request = request.SerializeAsString()});
  }
  void renew() {
    Node& n = any();
    // Rather one that believes to lead.
    if (n.suspended || newest == 0 || (!n.state.is_leader() && !random.one_in(4))) return;
    const std::int64_t id = std::max<std::int64_t>(1, newest - static_cast<std::int64_t>(random.below(8)));
    ++asked;
    n.primary->renew(id, [this, id](const base::Result<std::int64_t>& ttl) {
      ++answered;
      if (!ttl) return;
      if (*ttl == 0) {
        ++gone;
        return;
      }
      ++renewed;
      promises[id] = std::max(promises[id], clock.now() + std::chrono::seconds(*ttl));
    });
  }

  base::Random random;
  base::ManualClock clock;
  Silent logger;
  std::vector<std::unique_ptr<Node>> nodes;
  std::uint64_t term = 0, leader = 0, ids = 0;
  std::vector<Entry> log;   // committed
  std::deque<Entry> tail;   // the leader's, not committed
  std::int64_t newest = 0;  // lease
  std::map<std::int64_t, Instant> promises;
  std::size_t asked = 0, answered = 0, renewed = 0, gone = 0, revocations = 0, checkpoints = 0;
};

Node::Node(Cluster& of, std::uint64_t node_id) : cluster(of), id(node_id), checkpoints(!of.random.one_in(4)) {
  state.member_id = id;
  start();
}

void Node::start() {
  for (auto& [proposal, done] : std::exchange(proposals, {})) static_cast<void>(done);
  rounds.clear();
  waits.clear();
  state.leader = raft::kNone;
  lease::LessorOptions options;
  options.checkpoint = checkpoints;
  options.checkpoint_interval = 6s;
  lessor = std::make_unique<lease::Lessor>(options, rows);
  for (const auto& [key, value] : rows.rows) REQUIRE(lessor->restore_row(key, value));
  PrimaryLessor::Ports ports{
      .lessor = *lessor,
      .member = state,
      .clock = cluster.clock,
      .logger = cluster.logger,
      .metrics = metrics,
      .propose =
          [this](std::uint64_t of_term, RequestField field, std::string_view request, PrimaryLessor::Proposed done) {
            if (cluster.random.one_in(20)) return done(base::Error(Errc::kTooManyRequests));
            const std::uint64_t proposal = ++cluster.ids;
            proposals[proposal] = std::move(done);
            // Of a leader that is none any more nothing gets into the log.
            if (cluster.leads(*this) && of_term == cluster.term)
              cluster.tail.push_back({.term = of_term, .leader = id, .id = proposal, .field = field, .request = std::string(request)});
          },
      .confirm_leadership = [this](std::move_only_function<void(base::Result<>)> done) { rounds.push_back({cluster.clock.now(), std::move(done)}); },
      .when_applied =
          [this](std::move_only_function<void(base::Result<>)> then) {
            if (applied == cluster.log.size()) return then({});
            waits.push_back({cluster.log.size(), std::move(then)});
          },
  };
  primary = std::make_unique<PrimaryLessor>(std::move(ports), PrimaryLessor::Options{1s, 7s, cluster.random.one_in(2)});
}

void Node::apply(const Entry& entry) {
  base::Result<ResponseMessage> outcome{ResponseMessage{}};
  switch (entry.field) {
    case RequestField::kLeaseGrant: {
      etcdserverpb::LeaseGrantRequest request;
      request.ParseFromString(entry.request);
      REQUIRE(lessor->grant(request.id(), request.ttl(), cluster.clock.now()));
      break;
    }
    case RequestField::kLeaseRevoke: {
      etcdserverpb::LeaseRevokeRequest request;
      request.ParseFromString(entry.request);
      if (const auto revoked = lessor->revoke(request.id()); !revoked) outcome = revoked.error();
      primary->revoked(request.id());
      break;
    }
    case RequestField::kLeaseCheckpoint: {
      etcdserverpb::LeaseCheckpointRequest request;
      request.ParseFromString(entry.request);
      for (const auto& it : request.checkpoints()) {
        cluster.checkpoints += it.remaining_ttl() > 0 ? 1 : 0;
        static_cast<void>(lessor->checkpoint(it.id(), it.remaining_ttl(), true, cluster.clock.now()));
      }
      break;
    }
    default:
      if (entry.leader == id && state.is_leader() && state.term == entry.term) primary->promote(entry.term);
  }
  if (auto done = proposals.extract(entry.id)) done.mapped()(std::move(outcome));
}

TEST_CASE("primary lessor: whatever befalls a cluster, no lease ends before the time that was promised") {
  std::size_t renewed = 0, gone = 0, revocations = 0, checkpoints = 0;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    CAPTURE(seed);
    Cluster c(seed);
    base::Random& random = c.random;
    const std::uint64_t chaos = 1 + random.below(60);
    // Some leaders do all at once what there is to do.
    const bool eager = random.one_in(2);
    const std::uint64_t pause = eager ? 60 : 120;
    for (int step = 0; step < 1500; ++step) {
      c.clock.advance(std::chrono::milliseconds(random.below(random.one_in(30) ? 4000 : pause)));
      if (Node& n = c.node(c.leader); eager && !n.suspended && random.one_in(2)) {
        c.catch_up(n, c.log.size());
        n.primary->tick();
        c.commit();
      }
      switch (random.below(14)) {
        case 0: c.grant(); break;
        case 1:
        case 2:
        case 3:
        case 4:
        case 5: c.renew(); break;
        case 6:
        case 7: c.commit(); break;
        case 8: {
          Node& n = c.any();
          if (!n.suspended && n.applied < c.log.size()) c.catch_up(n, n.applied + 1 + random.below(c.log.size() - n.applied));
          break;
        }
        case 9:
        case 10:
          if (Node& n = c.any(); !n.suspended) n.primary->tick();
          break;
        case 11:
          if (Node& n = c.any(); !n.suspended) c.answer_rounds(n);
          break;
        case 12:
          if (random.below(60) > chaos) break;
          switch (random.below(4)) {
            case 0: c.elect(); break;
            case 1: c.any().suspended = true; break;
            case 2: c.any().suspended = false; break;
            case 3:
              if (Node& n = c.any(); random.one_in(4)) {
                // Whoever waited for an answer gets none.
                c.answered = c.asked;
                n.suspended = false;
                if (c.leads(n)) c.elect();
                n.start();
              }
              break;
          }
          break;
        case 13:
          if (Node& n = c.any(); !n.suspended && random.one_in(8)) c.learn(n);
          break;
      }
    }
    // At last all is well, and everything ends.
    const std::size_t before = c.asked;
    for (auto& n : c.nodes) n->suspended = false;
    c.leader = 0;
    while (c.leader == 0) c.elect();
    for (int step = 0; step < 1500; ++step) {
      c.clock.advance(100ms);
      c.commit();
      for (auto& n : c.nodes) {
        c.learn(*n);
        c.catch_up(*n, c.log.size());
        c.answer_rounds(*n);
        n->primary->tick();
      }
    }
    CHECK(c.node(c.leader).lessor->size() == 0);
    CHECK(c.asked == before);
    for (auto& n : c.nodes) CHECK(n->rows.rows.empty());
    renewed += c.renewed;
    gone += c.gone;
    revocations += c.revocations;
    checkpoints += c.checkpoints;
  }
  // It was not for lack of trying.
  CHECK(renewed > 50'000);
  CHECK(gone > 10'000);
  CHECK(revocations > 50'000);
  CHECK(checkpoints > 10'000);
}

}  // namespace
}  // namespace etcdpp::server
