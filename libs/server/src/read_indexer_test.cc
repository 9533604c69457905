#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <etcdpp/base/bytes.h>

#include "errc.h"
#include "read_indexer.h"

using namespace etcdpp;

namespace {

class InlineExecutor final : public net::Executor {
 public:
  void post(net::Task task) override { task(); }
  bool is_current() const override { return true; }
  base::Instant now() const override { return {}; }
};

struct Fixture {
  base::ManualClock clock;
  server::RequestIdGenerator ids{1, 0};
  std::vector<base::SharedBytes> rounds;
  bool inbox_full = false;
  server::ReadIndexer indexer{ids, clock, [this](base::SharedBytes context) {
                                if (inbox_full) return false;
                                rounds.push_back(std::move(context));
                                return true;
                              }};
  InlineExecutor home;
  server::AnswerBatch answers;
  std::string log;

  void ask(const char* name) {
    indexer.request(
        [this, name](base::Result<> result) { log += std::string(name) + (result ? " ok;" : " " + result.error().code.message() + ";"); },
        home, clock.now() + std::chrono::seconds(7));
  }
  void step() {
    indexer.step(answers);
    answers.flush();
  }
  void release(std::uint64_t applied) {
    indexer.release(applied, answers);
    answers.flush();
  }
};

}  // namespace

TEST_CASE("read indexer: reads that wait share a round and run once its index is applied") {
  Fixture f;
  f.ask("a");
  f.ask("b");
  f.step();
  REQUIRE(f.rounds.size() == 1);
  f.ask("c");
  f.step();
  REQUIRE(f.rounds.size() == 2);
  f.indexer.confirmed({10, f.rounds[0]});
  f.release(9);
  CHECK(f.log.empty());
  f.release(10);
  CHECK(f.log == "a ok;b ok;");
  f.indexer.confirmed({10, f.rounds[1]});
  f.release(11);
  CHECK(f.log == "a ok;b ok;c ok;");
}

TEST_CASE("read indexer: a later answer covers earlier rounds, an unknown one nothing") {
  Fixture f;
  f.ask("a");
  f.step();
  f.ask("b");
  f.step();
  f.indexer.confirmed({3, base::SharedBytes(std::string_view("nonsense"))});
  f.indexer.confirmed({3, base::SharedBytes(std::string_view("x"))});
  f.release(100);
  CHECK(f.log.empty());
  f.indexer.confirmed({5, f.rounds[1]});
  f.release(5);
  CHECK(f.log == "a ok;b ok;");
}

TEST_CASE("read indexer: asked again after half a second, given up at the deadline, failed by a change of leader") {
  Fixture f;
  f.inbox_full = true;
  f.ask("a");
  f.step();
  CHECK(f.rounds.empty());
  f.inbox_full = false;
  f.clock.advance(std::chrono::milliseconds(500));
  f.step();
  CHECK(f.rounds.size() == 1);
  f.step();
  CHECK(f.rounds.size() == 1);
  f.clock.advance(std::chrono::milliseconds(500));
  f.step();
  CHECK(f.rounds.size() == 2);
  f.clock.advance(std::chrono::seconds(7));
  f.step();
  CHECK(f.log == "a etcdserver: request timed out;");
  f.log.clear();
  f.ask("b");
  f.step();
  f.indexer.leader_changed(f.answers);
  f.answers.flush();
  CHECK(f.log == "b etcdserver: leader changed;");
}
