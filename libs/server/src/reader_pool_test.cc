#include "reader_pool.h"

#include <string>

#include <doctest/doctest.h>

#include "selection_budget.h"

namespace etcdpp::server {

TEST_CASE("reader pool: long reads take turns, and a short one does not wait for their end") {
  ReaderPool pool;
  std::string order;
  const auto slices = [&](char name, int count) {
    REQUIRE(pool.run_in_slices([&order, name, count]() mutable {
      order += name;
      return --count > 0;
    }));
  };
  slices('a', 3);
  slices('b', 2);
  REQUIRE(pool.step());
  REQUIRE(pool.run([&] { order += 's'; }));
  while (pool.step()) {
  }
  CHECK(order == "abasba");
}

TEST_CASE("reader pool: a thousand jobs, however many of their slices were run") {
  ReaderPool pool;
  for (int i = 0; i < 1000; ++i) REQUIRE(pool.run_in_slices([] { return true; }));
  CHECK_FALSE(pool.run([] {}));
  for (int i = 0; i < 3000; ++i) REQUIRE(pool.step());
  CHECK_FALSE(pool.run([] {}));
  pool.drop();
  CHECK_FALSE(pool.step());
}

TEST_CASE("selection budget: who does not fit waits in order, and the largest has it alone") {
  SelectionBudget budget(100);
  std::string order;
  std::vector<SelectionBudget::Share> held;
  const auto ask = [&](char name, std::size_t bytes) {
    budget.acquire(bytes, [&, name](SelectionBudget::Share share) {
      order += name;
      held.push_back(std::move(share));
    });
  };
  ask('a', 60);
  ask('b', 40);
  ask('c', 500);
  ask('d', 1);  // behind c, although it would fit after a or b
  CHECK(order == "ab");
  held.erase(held.begin());
  CHECK(order == "ab");
  held.erase(held.begin());
  CHECK(order == "abc");
  held.erase(held.begin());
  CHECK(order == "abcd");
}

TEST_CASE("selection budget: what a share shrinks by is there for others") {
  SelectionBudget budget(100);
  SelectionBudget::Share first;
  int others = 0;
  std::vector<SelectionBudget::Share> held;
  budget.acquire(80, [&](SelectionBudget::Share share) { first = std::move(share); });
  for (int i = 0; i < 2; ++i)
    budget.acquire(30, [&](SelectionBudget::Share share) {
      ++others;
      held.push_back(std::move(share));
    });
  CHECK(others == 0);
  first.shrink(40);
  CHECK(others == 2);
  first.shrink(90);
  budget.acquire(1, [&](SelectionBudget::Share) { ++others; });
  CHECK(others == 2);
}

}  // namespace etcdpp::server
