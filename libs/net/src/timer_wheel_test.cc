#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include <etcdpp/base/random.h>
#include <etcdpp/net/timer_wheel.h>

using namespace etcdpp;
using namespace etcdpp::net;
using namespace std::chrono_literals;

namespace {

struct Recorder final : Timer {
  base::Instant* now = nullptr;
  std::vector<base::Instant> fired;
  base::Duration again{};
  TimerWheel* wheel = nullptr;
  void on_timer() override {
    fired.push_back(*now);
    if (again > 0ns) wheel->arm(*this, *now + again);
  }
};

}  // namespace

TEST_CASE("timer wheel: fires never early and at most a tick late, whatever the order and distance") {
  base::Random random(11);
  base::Instant now{1h};
  TimerWheel wheel(now);
  std::vector<std::unique_ptr<Recorder>> timers;
  for (int i = 0; i < 3000; ++i) {
    auto timer = std::make_unique<Recorder>();
    timer->now = &now;
    wheel.arm(*timer, now + std::chrono::microseconds(random.below(40'000'000)));
    if (random.one_in(5)) wheel.arm(*timer, now + std::chrono::microseconds(random.below(40'000'000)));
    timers.push_back(std::move(timer));
  }
  int cancelled = 0;
  for (auto& timer : timers) {
    if (random.one_in(10)) {
      timer->cancel();
      timer.reset();
      ++cancelled;
    }
  }
  CHECK(cancelled > 0);
  while (wheel.size() > 0) {
    const auto next = wheel.next_due();
    REQUIRE(next.has_value());
    now = std::max(now + 1ns, *next);
    wheel.advance(now);
  }
  for (const auto& timer : timers) {
    if (!timer) continue;
    REQUIRE(timer->fired.size() == 1);
    CHECK(timer->fired[0] >= timer->due());
    CHECK(timer->fired[0] - timer->due() <= TimerWheel::kTick);
  }
  CHECK(!wheel.next_due().has_value());
}

TEST_CASE("timer wheel: a long sleep fires everything once, and a timer may arm itself again") {
  base::Instant now{};
  TimerWheel wheel(now);
  Recorder periodic, far, past;
  for (Recorder* timer : {&periodic, &far, &past}) timer->now = &now, timer->wheel = &wheel;
  periodic.again = 10s;
  wheel.arm(periodic, now + 10s);
  wheel.arm(far, now + 24h);
  wheel.arm(past, now - 5s);
  now += 1h;
  wheel.advance(now);
  CHECK(periodic.fired.size() == 1);
  CHECK(past.fired.size() == 1);
  CHECK(far.fired.empty());
  CHECK(periodic.armed());
  periodic.cancel();
  now += 24h;
  wheel.advance(now);
  CHECK(far.fired.size() == 1);
  CHECK(wheel.size() == 0);
}

TEST_CASE("timer wheel: a firing timer may cancel another of the same slot") {
  struct Killer final : Timer {
    Timer* victim = nullptr;
    void on_timer() override { victim->cancel(); }
  };
  base::Instant now{};
  TimerWheel wheel(now);
  Killer killer;
  Recorder victim;
  victim.now = &now;
  killer.victim = &victim;
  wheel.arm(killer, now + 20ms);
  wheel.arm(victim, now + 20ms);
  now += 1s;
  wheel.advance(now);
  CHECK(victim.fired.empty());
  CHECK(wheel.size() == 0);
}
