#include <atomic>
#include <deque>
#include <thread>

#include <doctest/doctest.h>

#include <etcdpp/base/random.h>
#include <etcdpp/net/errc.h>
#include <etcdpp/net/grpc_call.h>
#include <etcdpp/net/io_thread.h>
#include <etcdpp/net/listener.h>

#include "gzip.h"
#include "receive_budget.h"
#include "token_bucket.h"

using namespace etcdpp;
using namespace etcdpp::net;
using namespace std::chrono_literals;

TEST_CASE("net: grpc-timeout, binary headers and grpc-message are read and written as the protocol says") {
  CHECK(parse_grpc_timeout("5S") == 5s);
  CHECK(parse_grpc_timeout("99999999H").has_value());
  CHECK(parse_grpc_timeout("100m") == 100ms);
  CHECK(parse_grpc_timeout("7u") == 7us);
  CHECK(parse_grpc_timeout("12345678n") == 12345678ns);
  CHECK(parse_grpc_timeout("2M") == 2min);
  for (const char* bad : {"", "S", "5", "5s", "-5S", "123456789S", "5 S", "+5S"}) CHECK(!parse_grpc_timeout(bad));

  std::string out;
  CHECK((decode_binary_header("aGk=", out) && out == "hi"));
  CHECK((decode_binary_header("aGk", out) && out == "hi"));
  CHECK((decode_binary_header("", out) && out.empty()));
  CHECK(!decode_binary_header("aGk-", out));
  CHECK(!decode_binary_header("a", out));

  CHECK(percent_encode_message("plain text") == "plain text");
  CHECK(percent_encode_message("%\n~\x7f") == "%25%0A~%7F");
  CHECK(percent_encode_message("\xe2\x82\xac") == "%E2%82%AC");
  CHECK(percent_encode_message("\xed\xa0\x80x") == "%EF%BF%BD%EF%BF%BD%EF%BF%BDx");
  CHECK(status_code_name(StatusCode::kCancelled) == "Canceled");
}

TEST_CASE("net: gzip there and back, cut, broken and too large") {
  base::Random random(4);
  for (const std::size_t size : {0u, 1u, 1000u, 300'000u}) {
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(random.below(5));
    const std::string small = gzip(text);
    std::string out;
    REQUIRE(gunzip(small, size, out) == Gunzip::kOk);
    CHECK(out == text);
    CHECK(gunzip(small.substr(0, small.size() - 1), size, out) == Gunzip::kMalformed);
    CHECK(gunzip(small + small, 2 * size, out) == Gunzip::kOk);
    CHECK(out == text + text);
    if (size > 0) CHECK(gunzip(small, size - 1, out) == Gunzip::kTooLarge);
  }
  std::string out;
  CHECK(gunzip("", 100, out) == Gunzip::kMalformed);
  CHECK(gunzip("garbage, not gzip", 100, out) == Gunzip::kMalformed);
}

TEST_CASE("net: a token bucket lets a burst through and then its rate") {
  TokenBucket bucket(10, 100);
  base::Instant now{1h};
  int let = 0;
  for (int i = 0; i < 50; ++i) let += bucket.take(now);
  CHECK(let == 10);
  let = 0;
  for (int i = 0; i < 1000; ++i) let += bucket.take(now += 1ms);
  CHECK(let >= 99);
  CHECK(let <= 101);
  now += 1h;
  let = 0;
  for (int i = 0; i < 50; ++i) let += bucket.take(now);
  CHECK(let == 10);
}

TEST_CASE("net: listen URLs") {
  const auto parse = [](std::string_view url) { return ListenUrl::parse(url); };
  CHECK(parse("http://127.0.0.1:2379")->host == "127.0.0.1");
  CHECK(parse("http://localhost:2379")->host == "127.0.0.1");
  CHECK(parse("http://[::1]:2379/")->host == "::1");
  CHECK(parse("https://0.0.0.0:1")->tls);
  CHECK(parse("unix://localhost:2379")->host == "localhost:2379");
  CHECK(parse("unixs:///run/x.sock:0")->unix_socket);
  CHECK(parse("http://etcd.example:2379").error().code == Errc::kBadUrl);
  CHECK(!parse("http://127.0.0.1:99999"));
  CHECK(!parse("http://127.0.0.1:"));
  CHECK(!parse("http://127.0.0.1:1x"));
  CHECK(!parse("unix://" + std::string(200, 'a')));
}

namespace {

struct Grant final : ReceiveGrant {
  int granted_times = 0;
  void on_granted() override { ++granted_times; }
};

}  // namespace

TEST_CASE("net: the receive budget is never exceeded, and nobody waits once there is room for all") {
  base::Random random(8);
  for (int round = 0; round < 50; ++round) {
    ReceiveBudget budget(1000);
    {
      std::vector<std::unique_ptr<ReceiveShare>> shares;
      for (int i = 0; i < 4; ++i) shares.push_back(std::make_unique<ReceiveShare>(budget, 600));
      struct Holder {
        std::unique_ptr<Grant> grant;
        ReceiveShare* share;
      };
      std::deque<Holder> holders;
      for (int i = 0; i < 300; ++i) {
        if (random.one_in(2) || holders.empty()) {
          Holder holder{std::make_unique<Grant>(), shares[random.below(4)].get()};
          holder.share->ask(*holder.grant, 1 + random.below(400));
          holders.push_back(std::move(holder));
        } else {
          const std::size_t at = random.below(holders.size());
          holders[at].share->release(*holders[at].grant);
          holders.erase(holders.begin() + static_cast<std::ptrdiff_t>(at));
        }
        REQUIRE(budget.used() <= 1000);
        for (const auto& share : shares) REQUIRE(share->used() <= 600);
      }
      // Whoever is granted finishes: then everybody gets a turn.
      while (!holders.empty()) {
        const auto granted = std::ranges::find_if(holders, [](const Holder& h) { return h.grant->granted(); });
        REQUIRE(granted != holders.end());
        granted->share->release(*granted->grant);
        holders.erase(granted);
      }
      CHECK(budget.used() == 0);
    }
  }
}

TEST_CASE("io thread: tasks keep their order, hooks run once per turn, what they post runs in that turn and brings another") {
  const base::SystemClock clock;
  IoThread io(0, clock);
  std::vector<int> order;
  int batches = 0;
  std::vector<std::size_t> seen_by_writer;
  io.on_batch_end([&] {
    if (++batches == 1) io.post([&] { order.push_back(1000); });
  });
  io.on_write_phase([&] { seen_by_writer.push_back(order.size()); });
  for (int i = 0; i < 100; ++i) io.post([&order, i] { order.push_back(i); });
  io.step(1h);
  CHECK(batches == 1);
  CHECK(seen_by_writer == std::vector<std::size_t>{101});
  CHECK(std::ranges::is_sorted(order));
  // That task may have brought the hooks work: they are asked again, and nothing sleeps before.
  io.step(1h);
  CHECK(batches == 2);
  struct Once final : Timer {
    bool fired = false;
    void on_timer() override { fired = true; }
  } once;
  io.arm(once, clock.now() + 10ms);
  while (!once.fired) io.step(1h);
  CHECK(clock.now() >= once.due());
}

TEST_CASE("io threads: every thread runs what is posted to it, from many senders, until the end") {
  const base::SystemClock clock;
  std::atomic<int> ran = 0;
  {
    IoThreads threads(3, clock);
    threads.start();
    std::vector<std::thread> senders;
    for (int s = 0; s < 4; ++s) {
      senders.emplace_back([&] {
        for (int i = 0; i < 5000; ++i) {
          IoThread& io = threads.next();
          io.post([&] {
            CHECK(io.is_current());
            ++ran;
          });
        }
      });
    }
    for (std::thread& sender : senders) sender.join();
    int visited = 0;
    std::mutex mutex;
    threads.run_in_each([&](IoThread&) {
      std::lock_guard lock(mutex);
      ++visited;
    });
    CHECK(visited == 3);
    threads.stop();
    CHECK(ran == 20000);
    threads[0].post([&] { ++ran; });
  }
  CHECK(ran == 20001);  // what is posted to a stopped thread runs when it is destroyed: references come home
}
