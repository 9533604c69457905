#include <etcdpp/backend/write_buffer.h>

#include <atomic>
#include <thread>

#include "backend_testing.h"

namespace etcdpp::backend {

TEST_CASE("write buffer: rows are found by key and by position whatever their number and size") {
  WriteBuffer buffer;
  std::map<std::string, std::string> model;
  for (std::uint64_t i = 1; i <= 3000; ++i) {
    const std::string key = row_key(i * 2);
    const std::string value(i % 7 == 0 ? 100'000 : i % 50, static_cast<char>('a' + i % 26));
    buffer.append_row(key, value);
    model[key] = value;
  }
  REQUIRE(buffer.rows() == model.size());
  std::size_t at = 0;
  for (const auto& [key, value] : model) {
    CHECK(buffer.row(at).key == key);
    CHECK(buffer.find(key, buffer.rows()) == value);
    CHECK(buffer.find(key, at) == std::nullopt);  // not yet published
    ++at;
  }
  for (std::uint64_t i = 0; i <= 6002; ++i) {
    const std::size_t expected = static_cast<std::size_t>(std::distance(model.begin(), model.lower_bound(row_key(i))));
    CHECK(buffer.lower_bound(row_key(i), buffer.rows()) == expected);
    if (i % 2 == 1) CHECK(buffer.find(row_key(i), buffer.rows()) == std::nullopt);
  }
}

TEST_CASE("write buffer: a value encoded in place is the same row as a copied one") {
  WriteBuffer copied, in_place;
  copied.append_row(row_key(5), "hello");
  char* room = in_place.begin_row(row_key(5), 5);
  CHECK(in_place.rows() == 0);
  std::memcpy(room, "hello", 5);
  in_place.end_row();
  CHECK(copied.row(0).value == in_place.row(0).value);
  CHECK(copied.live_bytes() == 17 + 5 + 16);
  CHECK(in_place.live_bytes() == copied.live_bytes());
}

TEST_CASE("write buffer: of several operations on one small key the last wins") {
  WriteBuffer buffer;
  CHECK(buffer.empty());
  buffer.put(Bucket::kLease, "a", "1");
  buffer.put(Bucket::kLease, "a", "2");
  buffer.put(Bucket::kAuth, "a", "3");
  buffer.erase(Bucket::kAuth, "a");
  CHECK(buffer.records() == 4);
  const auto& operations = buffer.small_operations();
  REQUIRE(operations.size() == 2);
  CHECK(operations.at({Bucket::kLease, "a"}) == "2");
  CHECK(operations.at({Bucket::kAuth, "a"}) == std::nullopt);
}

TEST_CASE("write buffer: an index alone makes it something to commit") {
  WriteBuffer buffer;
  buffer.set_applied(7, 0);
  CHECK_FALSE(buffer.empty());
  CHECK(buffer.records() == 0);
  CHECK(buffer.applied_term() == 0);
  buffer.set_applied(8, 2);
  buffer.set_applied(9, 0);
  CHECK(buffer.applied_index() == 9);
  CHECK(buffer.applied_term() == 2);
}

TEST_CASE("write buffer: readers in other threads see every published row while it grows") {
  WriteBuffer buffer;
  std::atomic<std::size_t> published{0};
  constexpr std::uint64_t kRows = 20'000;
  std::atomic<std::uint64_t> found{0};
  auto read = [&](std::uint64_t seed) {
    std::uint64_t state = seed;
    std::uint64_t here = 0;
    for (std::size_t rows = 0; rows < kRows;) {
      rows = published.load(std::memory_order_acquire);
      if (rows == 0) continue;
      state = state * 6364136223846793005u + 1442695040888963407u;
      const std::uint64_t main = 1 + (state >> 33) % rows;
      const auto value = buffer.find(row_key(main), rows);
      if (!value || *value != std::to_string(main)) return;
      ++here;
    }
    found += here > 0 ? 1 : 0;
  };
  std::thread first(read, 1), second(read, 2);
  for (std::uint64_t i = 1; i <= kRows; ++i) {
    buffer.append_row(row_key(i), std::to_string(i));
    published.store(i, std::memory_order_release);
  }
  first.join();
  second.join();
  CHECK(found == 2);
}

}  // namespace etcdpp::backend
