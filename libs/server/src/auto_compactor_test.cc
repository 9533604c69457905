#include "auto_compactor.h"

#include <vector>

#include <doctest/doctest.h>

#include <etcdpp/mvcc/errc.h>

namespace etcdpp::server {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using Mode = AutoCompactor::Mode;

/// Counts lines by message.
class LineCounter final : public base::Logger {
 public:
  bool enabled(base::LogLevel) const override { return true; }
  void write(base::LogLevel, std::string_view, std::string_view message, std::initializer_list<base::LogField>,
             std::source_location) override {
    lines.emplace_back(message);
  }
  std::vector<std::string> lines;
};

/// A store that writes one revision each `write_every`, beside a member that ticks each 100 ms.
struct Bench {
  Bench(Mode mode, base::Duration retention, base::Duration writes) : write_every(writes), compactor(mode, retention, clock.now(), 1, log) {}

  std::int64_t revision() const { return 1 + clock.now().time_since_epoch() / write_every; }
  /// Runs for `time`; compactions that are asked for succeed at once unless `outcome` says otherwise.
  std::vector<std::int64_t> run(base::Duration time, bool leads = true, base::Result<> outcome = {}) {
    std::vector<std::int64_t> asked;
    const base::Instant end = clock.now() + time;
    while (clock.now() < end) {
      clock.advance(std::chrono::milliseconds(100));
      if (const auto target = compactor.step(clock.now(), revision(), leads)) {
        asked.push_back(*target);
        compactor.finished(clock.now(), revision(), outcome);
      }
    }
    return asked;
  }

  base::ManualClock clock;
  LineCounter log;
  base::Duration write_every;
  AutoCompactor compactor;
};

using Revisions = std::vector<std::int64_t>;

}  // namespace

// What etcd does with the same notes: the oldest of the kept ones is one look younger than the retention says.
TEST_CASE("auto compaction: two hours are kept, looked at each six minutes, compacted each hour") {
  Bench bench(Mode::kPeriodic, hours(2), minutes(1));
  CHECK(bench.run(hours(2) - seconds(1)).empty());
  CHECK(bench.run(seconds(2)) == Revisions{1});
  CHECK(bench.run(minutes(59)) == Revisions{});
  CHECK(bench.run(minutes(2)) == Revisions{55});
  CHECK(bench.run(hours(3)) == Revisions{115, 175, 235});
}

TEST_CASE("auto compaction: five minutes are kept and compacted each five minutes") {
  Bench bench(Mode::kPeriodic, minutes(5), seconds(30));
  CHECK(bench.run(minutes(5) - seconds(1)).empty());
  CHECK(bench.run(seconds(1)) == Revisions{1});
  CHECK(bench.run(minutes(15)) == Revisions{10, 20, 30});
}

TEST_CASE("auto compaction: nothing is asked for twice, so an idle member is left alone") {
  Bench bench(Mode::kPeriodic, seconds(5), hours(1));
  CHECK(bench.run(minutes(10)) == Revisions{1});
  CHECK(bench.log.lines == std::vector<std::string>{"starting auto periodic compaction", "completed auto periodic compaction"});
}

TEST_CASE("auto compaction: a follower notes and waits, and compacts at its next look once it leads") {
  Bench bench(Mode::kPeriodic, hours(1), minutes(6));
  CHECK(bench.run(hours(5), false).empty());
  CHECK(bench.run(minutes(6) + seconds(1)) == Revisions{41});
  CHECK(bench.run(hours(1)) == Revisions{51});
}

TEST_CASE("auto compaction: what failed is tried again at the next look, and somebody else's compaction counts") {
  Bench bench(Mode::kPeriodic, minutes(10), minutes(1));
  CHECK(bench.run(minutes(10), true, base::Error(std::make_error_code(std::errc::timed_out))) == Revisions{1});
  CHECK(bench.log.lines.back() == "failed auto periodic compaction");
  CHECK(bench.run(minutes(1), true, base::Error(mvcc::Errc::kCompacted)) == Revisions{1});
  CHECK(bench.log.lines.back() == "completed auto periodic compaction");
  CHECK(bench.run(minutes(9)).empty());
  CHECK(bench.run(minutes(1)) == Revisions{11});
}

TEST_CASE("auto compaction: while one is running the policy stands still") {
  Bench bench(Mode::kPeriodic, minutes(10), minutes(1));
  bench.clock.advance(minutes(10));
  REQUIRE(bench.compactor.step(bench.clock.now(), 11, true) == 1);
  for (int i = 0; i < 100; ++i) {
    bench.clock.advance(minutes(1));
    CHECK_FALSE(bench.compactor.step(bench.clock.now(), 11 + i, true));
  }
  bench.compactor.finished(bench.clock.now(), 111, {});
  CHECK(bench.run(minutes(9)).empty());
}

TEST_CASE("auto compaction: a retention below ten nanoseconds is one look each tick") {
  Bench bench(Mode::kPeriodic, base::Duration(5), std::chrono::milliseconds(200));
  CHECK(bench.run(seconds(2)).size() > 5);
}

TEST_CASE("auto compaction: by revisions, each five minutes, and only what is not compacted yet") {
  Bench bench(Mode::kRevision, base::Duration(100), seconds(2));
  CHECK(bench.run(minutes(3)).empty());
  CHECK(bench.run(minutes(2)) == Revisions{51});
  CHECK(bench.run(minutes(10)) == Revisions{201, 351});
  CHECK(bench.log.lines.front() == "starting auto revision compaction");
  bench.write_every = hours(1000);  // revision 1 from now on: below the retention
  CHECK(bench.run(minutes(20)).empty());
}

}  // namespace etcdpp::server
