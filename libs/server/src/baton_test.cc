#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include <etcdpp/base/mailbox.h>

#include "baton.h"

using etcdpp::server::Baton;

TEST_CASE("baton: one runs, nothing that was brought is left") {
  etcdpp::base::Mailbox<int> box(1 << 20);
  std::atomic<int> inside{0};
  std::atomic<bool> overlapped{false};
  long sum = 0;  // guarded by the baton alone: a second runner would be a data race
  std::vector<int> taken;
  Baton baton([&] {
    if (inside.fetch_add(1) != 0) overlapped = true;
    const bool did = box.take(taken);
    for (int x : taken) sum += x;
    taken.clear();
    inside.fetch_sub(1);
    return did;
  });
  constexpr int kEach = 20'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        box.try_push(1);
        while (baton.run(4)) {
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(!overlapped);
  CHECK(sum == 4 * kEach);
}

TEST_CASE("baton: a runner that used up its rounds says so") {
  int left = 10;
  Baton baton([&] { return left-- > 0; });
  CHECK(baton.run(4));
  CHECK(left == 6);
  CHECK(!baton.run(100));
}
