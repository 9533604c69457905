#include <filesystem>
#include <fstream>
#include <iterator>

#include <etcdpp/base/random.h>

#include "backend_testing.h"

namespace etcdpp::backend {

namespace {

// Keys as compaction and transactions leave them: single rows and long runs of one revision, with gaps of every size.
Rows fill(Backend& backend, std::uint64_t seed) {
  base::Random random(seed);
  Rows rows;
  std::uint64_t main = 1;
  for (int commit = 0; commit < 20; ++commit) {
    const bool regular = random.one_in(3);
    for (int i = 0; i < 200; ++i) {
      main += regular || !random.one_in(8) ? 1 : 1 + random.below(random.one_in(20) ? 1'000'000'000'000 : 50);
      const std::uint64_t subs = regular || !random.one_in(20) ? 1 : 1 + random.below(300);
      for (std::uint64_t sub = 0; sub < subs; ++sub) {
        const std::size_t size = regular ? 256 : random.one_in(40) ? random.below(20'000) : random.below(300);
        rows.emplace_back(row_key(main, sub) + (random.one_in(30) ? "t" : ""), std::string(size, static_cast<char>('a' + main % 26)));
        backend.buffer().append_row(rows.back().first, rows.back().second);
      }
    }
    backend.buffer().set_applied(main, 1);
    commit_all(backend);
  }
  return rows;
}

}  // namespace

TEST_CASE("row search: every row is found, whatever lies around it, and no other") {
  for (const std::uint64_t seed : {1, 2, 3}) {
    TestDirectory directory;
    auto backend = open_backend(test_options(directory));
    const Rows rows = fill(*backend, seed);
    const auto transaction = backend->database()->begin_read();
    REQUIRE(transaction.has_value());
    base::Random random(seed);
    std::size_t wrong = 0;
    const auto get = [&](const std::string& key, std::size_t expected_size) {
      const auto found = transaction->get_row(key, expected_size);
      if (!found) FAIL(found.error().message());
      return *found;
    };
    for (const auto& [key, value] : rows) {
      const auto found = get(key, random.one_in(2) ? value.size() : random.below(30'000));
      if (!found || *found != value) ++wrong;
      // Neighbours that are not there.
      if (get(key + '\0', value.size())) ++wrong;
      std::string less = key;
      less.pop_back();
      if (key.size() == 17 && get(less, 0)) ++wrong;
    }
    for (std::size_t at = 0; at < rows.size();) {
      std::vector<std::string> keys;
      std::vector<const std::string*> values;
      for (auto n = random.below(100); n > 0 && at < rows.size(); --n, ++at) {
        const bool there = !random.one_in(10);
        const auto& [key, value] = random.one_in(2) ? rows[at] : rows[random.below(rows.size())];
        keys.push_back(there ? key : key + '\0');
        values.push_back(there ? &value : nullptr);
      }
      std::vector<RowLookup> lookups;
      for (const auto& key : keys) lookups.push_back({.row_key = key, .expected_size = random.one_in(2) ? 256 : random.below(30'000), .value = "stale"});
      REQUIRE(transaction->get_rows(lookups).has_value());
      for (std::size_t i = 0; i < lookups.size(); ++i)
        if (lookups[i].value.has_value() != (values[i] != nullptr) || (values[i] && *lookups[i].value != *values[i])) ++wrong;
      transaction->forget_joined();
    }
    CHECK(wrong == 0);
    CHECK_FALSE(get(row_key(0), 10));
    CHECK_FALSE(get(row_key(~std::uint64_t{0}), 10));
    CHECK_FALSE(get("a", 0));
    CHECK_FALSE(get(std::string("\0", 1), 0));
    CHECK_FALSE(get("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 0));
  }
}

TEST_CASE("row search: a damaged page gives the row or an error, nothing else") {
  TestDirectory directory;
  Options options = test_options(directory);
  options.map_size = 64u << 20;
  auto backend = open_backend(options);
  const Rows rows = fill(*backend, 4);
  const auto transaction = backend->database()->begin_read();
  REQUIRE(transaction.has_value());
  REQUIRE(transaction->get_row(rows.front().first).has_value());
  // Every page that a damaged number can name is there, so that only the numbers' checks stand between.
  const std::uint64_t size = std::filesystem::file_size(directory.database());
  std::filesystem::resize_file(directory.database(), options.map_size);
  std::fstream file(directory.database(), std::ios::binary | std::ios::in | std::ios::out);
  base::Random random(5);
  std::size_t wrong = 0, refused = 0;
  constexpr std::uint64_t kPage = 4096;
  for (int round = 0; round < 400; ++round) {
    // Mostly in heads, offsets and nodes of branches; not in the metas.
    const std::uint64_t page = 2 + random.below(size / kPage - 2);
    const auto at = static_cast<std::streamoff>(page * kPage + random.below(random.one_in(2) ? 64 : kPage));
    file.seekg(at);
    const int before = file.get();
    file.seekp(at);
    file.put(static_cast<char>(random.below(256)));
    file.flush();
    for (int i = 0; i < 40; ++i) {
      const auto& [key, value] = rows[random.below(rows.size())];
      const auto found = transaction->get_row(key, value.size());
      if (!found) {
        ++refused;
      } else if (*found && **found != value) {
        ++wrong;
      }
    }
    std::vector<RowLookup> together;
    std::vector<const std::string*> values;
    for (int i = 0; i < 40; ++i) {
      const auto& [key, value] = rows[random.below(rows.size())];
      together.push_back({.row_key = key, .expected_size = value.size(), .value = std::nullopt});
      values.push_back(&value);
    }
    if (!transaction->get_rows(together)) {
      ++refused;
    } else {
      for (std::size_t i = 0; i < together.size(); ++i)
        if (together[i].value && *together[i].value != *values[i]) ++wrong;
    }
    transaction->forget_joined();
    file.seekp(at);
    file.put(static_cast<char>(before));
    file.flush();
  }
  CHECK(wrong == 0);
  CHECK(refused > 0);
  for (const auto& [key, value] : rows) {
    const auto found = transaction->get_row(key);
    if (!found || !*found || **found != value) ++wrong;
  }
  CHECK(wrong == 0);
}

}  // namespace etcdpp::backend
