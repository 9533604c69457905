#include <etcdpp/mvcc/tree_index.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <etcdpp/base/random.h>
#include <etcdpp/mvcc/key_value.h>

#include "index_model.h"

namespace etcdpp::mvcc {
namespace {

using Revisions = std::vector<Revision>;
using Generations = std::vector<Generation>;

void compact_all(TreeIndex& index, std::int64_t revision, std::size_t budget = 1'000) {
  base::Bytes resume;
  while (!index.compact(revision, resume, budget)) {
  }
}

// The revisions of each generation, the empty last one left out.
std::vector<std::vector<std::int64_t>> lives(const TreeIndex& index, base::BytesView key) {
  std::vector<std::vector<std::int64_t>> all;
  for (const auto& generation : index.current().generations(key)) {
    if (generation.revisions.empty()) continue;
    auto& mains = all.emplace_back();
    for (const auto& r : generation.revisions) mains.push_back(r.main);
  }
  return all;
}

std::vector<std::string> keys_at(const IndexRoot& root, const KeyRange& range, std::int64_t at) {
  std::vector<std::string> keys;
  IndexCursor cursor(root, range, at);
  for (KeyState state; cursor.next(state);) keys.emplace_back(state.key);
  return keys;
}

}  // namespace

TEST_CASE("index: puts and tombstones make generations") {
  TreeIndex index;
  index.put("foo", {2, 0}, 10);
  index.put("foo", {3, 0}, 11);
  REQUIRE(index.tombstone("foo", {4, 0}, 5));
  CHECK_FALSE(index.tombstone("foo", {5, 0}, 5));
  CHECK_FALSE(index.tombstone("bar", {5, 0}, 5));
  index.put("foo", {6, 1}, 12);
  const auto root = index.current();
  CHECK(root.generations("foo") == Generations{{2, 3, {{2, 0}, {3, 0}, {4, 0}}}, {6, 1, {{6, 1}}}});
  CHECK_FALSE(root.get("foo", 1));
  CHECK(root.get("foo", 2)->version == 1);
  CHECK(root.get("foo", 3)->version == 2);
  CHECK(root.get("foo", 3)->create_revision == 2);
  CHECK_FALSE(root.get("foo", 4));
  CHECK_FALSE(root.get("foo", 5));
  CHECK(root.get("foo", 6)->modified == Revision{6, 1});
  CHECK(root.get("foo", 100)->create_revision == 6);
  CHECK(root.get("foo", 100)->row_bytes == 12);
  CHECK(root.generations("bar").empty());
  CHECK(root.revisions("foo", 3) == std::vector<RowKey>{{{3, 0}, false}, {{4, 0}, true}, {{6, 1}, false}});
}

TEST_CASE("index: of several changes in one transaction the last counts") {
  TreeIndex index;
  index.put("a", {5, 0}, 1);
  index.put("a", {5, 3}, 2);
  CHECK(index.current().get("a", 5)->modified == Revision{5, 3});
  CHECK(index.current().get("a", 5)->version == 2);
}

TEST_CASE("index: compaction of one key with two finished generations") {
  const std::vector<std::pair<std::int64_t, std::vector<std::vector<std::int64_t>>>> expected = {
      {2, {{2, 3}, {4, 5}}}, {3, {{3}, {4, 5}}}, {4, {{4, 5}}}, {5, {{5}}}, {6, {}}};
  for (std::size_t upto = 1; upto <= expected.size(); ++upto) {
    TreeIndex index;
    index.put("k", {1, 0}, 1);
    index.put("k", {2, 0}, 1);
    index.tombstone("k", {3, 0}, 1);
    index.put("k", {4, 0}, 1);
    index.tombstone("k", {5, 0}, 1);
    // Straight to it, and through every step before it: the same.
    if (upto % 2 == 0) {
      for (std::size_t i = 0; i < upto; ++i) compact_all(index, expected[i].first);
    } else {
      compact_all(index, expected[upto - 1].first);
    }
    CHECK(lives(index, "k") == expected[upto - 1].second);
    CHECK(index.current().entries() == (expected[upto - 1].second.empty() ? 0 : 1));
  }
}

TEST_CASE("index: what is left of the walkthrough's keys") {
  TreeIndex index;
  index.put("foo", {2, 0}, 1);
  index.put("foo", {3, 0}, 1);
  index.tombstone("foo", {4, 0}, 1);
  index.put("foo", {5, 0}, 1);
  index.tombstone("foo", {6, 0}, 1);
  index.put("bar", {7, 0}, 1);
  index.put("bar", {8, 0}, 1);
  index.put("t1", {9, 0}, 1);
  index.put("t2", {9, 1}, 1);
  index.tombstone("bar", {9, 2}, 1);
  index.put("t3", {9, 3}, 1);
  index.put("foo", {10, 0}, 1);
  compact_all(index, 6);
  CHECK(lives(index, "foo") == std::vector<std::vector<std::int64_t>>{{6}, {10}});
  compact_all(index, 7);
  CHECK(lives(index, "foo") == std::vector<std::vector<std::int64_t>>{{10}});
  CHECK(lives(index, "bar") == std::vector<std::vector<std::int64_t>>{{7, 8, 9}});
  compact_all(index, 9);
  CHECK(lives(index, "bar") == std::vector<std::vector<std::int64_t>>{{9}});
  const auto root = index.current();
  CHECK(root.keeps("bar", {9, 2}, 9, IndexRoot::Tombstones::kKeep));
  CHECK_FALSE(root.keeps("bar", {9, 2}, 9, IndexRoot::Tombstones::kLeaveOut));
  CHECK(root.keeps("t2", {9, 1}, 9, IndexRoot::Tombstones::kLeaveOut));
  CHECK_FALSE(root.keeps("foo", {10, 0}, 9, IndexRoot::Tombstones::kKeep));
  compact_all(index, 10);
  CHECK(lives(index, "bar").empty());
  CHECK(index.current().entries() == 4);
}

TEST_CASE("index: a published root never changes") {
  TreeIndex index;
  for (int i = 0; i < 500; ++i) index.put("key" + std::to_string(i), {2, i}, 7);
  auto first = index.publish();
  const auto keys_before = keys_at(first.root, KeyRange::all(), 100);
  for (int i = 0; i < 500; i += 3) index.put("key" + std::to_string(i), {3, i}, 8);
  for (int i = 0; i < 500; i += 5) index.tombstone("key" + std::to_string(i), {4, i}, 8);
  for (int i = 0; i < 500; ++i) index.put("new" + std::to_string(i), {5, i}, 8);
  auto second = index.publish();
  compact_all(index, 5);
  auto third = index.publish();

  CHECK(keys_at(first.root, KeyRange::all(), 100) == keys_before);
  CHECK(first.root.count(KeyRange::all(), 100) == 500);
  CHECK(first.root.get("key0", 100)->modified == Revision{2, 0});
  CHECK(first.root.size(KeyRange::all(), 2).framed_bytes == 500 * 9);
  CHECK(second.root.count(KeyRange::all(), 3) == 500);
  CHECK(second.root.count(KeyRange::all(), 4) == 400);
  CHECK(second.root.get("key0", 3)->modified == Revision{3, 0});
  CHECK(third.root.count(KeyRange::all(), 5) == 900);
  CHECK(third.root.entries() == 900);
  index.reclaim(std::move(first.garbage));
  index.reclaim(std::move(second.garbage));
  index.reclaim(std::move(third.garbage));
}

TEST_CASE("index: restore begins a key with what its first row says") {
  TreeIndex index;
  index.restore("a", {.revision = {7, 0}, .create_revision = 3, .version = 5, .row_bytes = 1});
  index.restore("a", {.revision = {8, 0}, .create_revision = 3, .version = 6, .row_bytes = 1});
  index.restore("b", {.revision = {9, 0}, .row_bytes = 1, .tombstone = true});
  index.restore("b", {.revision = {10, 0}, .create_revision = 10, .version = 1, .row_bytes = 1});
  index.restore("c", {.revision = {11, 0}, .row_bytes = 1, .tombstone = true});
  index.restore("c", {.revision = {12, 0}, .row_bytes = 1, .tombstone = true});
  const auto root = index.current();
  CHECK(root.generations("a") == Generations{{3, 6, {{7, 0}, {8, 0}}}});
  CHECK(root.get("a", 8)->version == 6);
  CHECK(root.generations("b") == Generations{{0, 1, {{9, 0}}}, {10, 1, {{10, 0}}}});
  CHECK(root.generations("c") == Generations{{0, 1, {{11, 0}}}, {}});
  CHECK(root.count(KeyRange::all(), 12) == 2);
}

TEST_CASE("index: rows restored in sorted batches of any size make the index that puts had made") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    base::Random random(seed);
    const std::uint64_t key_count = seed % 3 == 0 ? 30 : seed % 3 == 1 ? 700 : 6'000;
    const bool in_order = seed % 5 == 0;
    TreeIndex put, restored;
    std::vector<std::string> names;
    std::vector<TreeIndex::RestoredRow> rows;
    for (std::int64_t main = 2; main < 9'000; ++main) {
      const std::uint64_t n = in_order ? static_cast<std::uint64_t>(main) + random.below(20) : random.below(key_count);
      // Prefixes of one another, shared prefixes longer than eight bytes, zero bytes.
      char digits[24];
      std::snprintf(digits, sizeof digits, "%08llu", static_cast<unsigned long long>(n / 3));
      std::string key = (n % 2 == 0 ? "common/prefix/of/keys/" : "") + std::string(digits);
      key.append(n % 3, '\0');
      const auto live = put.find(key).live();
      const bool tombstone = live && random.one_in(5);
      const auto bytes = static_cast<std::uint32_t>(random.below(400));
      if (tombstone) REQUIRE(put.tombstone(key, {main, 0}, bytes));
      else put.put(key, {main, 0}, bytes);
      names.push_back(key);
      rows.push_back({.revision = {main, 0},
                      .create_revision = tombstone ? 0 : live ? live->create_revision : main,
                      .version = tombstone ? 0 : live ? live->version + 1 : 1,
                      .row_bytes = bytes,
                      .tombstone = tombstone});
    }
    const std::uint64_t longest = seed % 4 == 0 ? 5 : seed % 4 == 1 ? 300 : 5'000;
    for (std::size_t at = 0; at < rows.size();) {
      const std::size_t end = std::min(rows.size(), at + 1 + random.below(longest));
      std::vector<TreeIndex::RestoredKey> keys;
      for (; at < end; ++at) keys.push_back({names[at].data(), static_cast<std::uint32_t>(names[at].size()), static_cast<std::uint32_t>(at)});
      std::stable_sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.view() < b.view(); });
      restored.restore(keys, rows.data());
    }
    const auto expected = put.current(), got = restored.current();
    REQUIRE(got.entries() == expected.entries());
    for (const std::string& name : std::set<std::string>(names.begin(), names.end())) REQUIRE(got.generations(name) == expected.generations(name));
    for (std::int64_t at = 2; at <= 9'000; at += 450) {
      CAPTURE(at);
      REQUIRE(keys_at(got, KeyRange::all(), at) == keys_at(expected, KeyRange::all(), at));
      for (int i = 0; i < 10; ++i) {
        const auto range = i == 0 ? KeyRange::all() : KeyRange::interval(names[random.below(names.size())], names[random.below(names.size())]);
        REQUIRE(got.count(range, at) == expected.count(range, at));
        REQUIRE(got.size(range, at).framed_bytes == expected.size(range, at).framed_bytes);
      }
    }
    // It goes on as any other.
    restored.put(names.front(), {10'000, 0}, 1);
    REQUIRE(restored.current().get(names.front(), 10'000)->modified == Revision{10'000, 0});
    compact_all(restored, 9'000);
    compact_all(put, 9'000);
    REQUIRE(restored.current().size(KeyRange::all(), 9'000).framed_bytes == put.current().size(KeyRange::all(), 9'000).framed_bytes);
  }
}

TEST_CASE("index: restored in order, nodes are as full as those of puts in order") {
  constexpr int kKeys = 100'000;
  TreeIndex index;
  std::vector<std::string> names;
  std::vector<TreeIndex::RestoredKey> keys;
  std::vector<TreeIndex::RestoredRow> rows;
  char name[32];
  for (int i = 0; i < kKeys; ++i) {
    std::snprintf(name, sizeof name, "/registry/%012d", i);
    names.emplace_back(name);
    rows.push_back({.revision = {i + 2, 0}, .create_revision = i + 2, .version = 1, .row_bytes = 100});
  }
  for (int i = 0; i < kKeys; ++i) keys.push_back({names[i].data(), static_cast<std::uint32_t>(names[i].size()), static_cast<std::uint32_t>(i)});
  for (int i = 0; i < kKeys; i += 9'000) index.restore(std::span(keys).subspan(i, std::min(9'000, kKeys - i)), rows.data());
  CHECK(index.current().count(KeyRange::all(), 200'000) == kKeys);
#if !defined(__SANITIZE_ADDRESS__)
  CHECK((index.memory_bytes() - (2 << 20)) / kKeys < 48 + 22 + 2 + 17 + 3);
#endif
}

TEST_CASE("index: keys that come in order fill their nodes") {
  TreeIndex index;
  char key[32];
  for (int i = 0; i < 100'000; ++i) {
    snprintf(key, sizeof key, "/registry/%012d", i);
    index.put(key, {i + 2, 0}, 100);
  }
  CHECK(index.current().count(KeyRange::all(), 200'000) == 100'000);
  CHECK(index.current().count(KeyRange::interval("/registry/000000000100", "/registry/000000050100"), 200'000) ==
        50'000);
  CHECK(index.current().count(KeyRange::all(), 1'001) == 1'000);
#if !defined(__SANITIZE_ADDRESS__)
  // Nodes are full: 48 bytes and the key, 17 in its leaf, little above; the last slab of 2 MiB is begun.
  CHECK((index.memory_bytes() - (2 << 20)) / 100'000 < 48 + 22 + 2 + 17 + 3);
#endif
}

TEST_CASE("index: random histories equal a plain list of generations, at every revision") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    base::Random random(seed);
    TreeIndex index;
    IndexModel model;
    std::vector<TreeIndex::Garbage> garbage;
    const int key_count = seed % 4 == 0 ? 8 : seed % 4 == 1 ? 60 : 700;
    auto name = [&](std::uint64_t n) {
      // Prefixes of one another, shared prefixes longer than eight bytes, zero and high bytes.
      std::string key = n % 3 == 0 ? "k" : n % 3 == 1 ? "common/prefix/of/keys/" : std::string("\xff\x00\xff", 3);
      key += std::to_string(n / 7);
      key.append(n % 7, '\0');
      return key;
    };
    std::int64_t main = 1, compacted = 0;
    const auto check = [&](std::int64_t at) {
      CAPTURE(at);
      const auto root = index.current();
      std::vector<std::string> live;
      std::int64_t bytes = 0;
      std::vector<std::string> names;
      for (auto n = random.below(200); n > 0; --n) names.push_back(name(random.below(key_count)) + (random.one_in(9) ? "?" : ""));
      std::vector<KeyLookup> lookups;
      for (const auto& key : names) lookups.push_back({.key = key, .at = at - (random.one_in(3) ? 1 : 0), .state = KeyState{}});
      root.get(lookups);
      for (const auto& lookup : lookups) {
        const auto alone = root.get(lookup.key, lookup.at);
        REQUIRE(lookup.state.has_value() == alone.has_value());
        if (alone) REQUIRE((lookup.state->key == lookup.key && lookup.state->modified == alone->modified && lookup.state->version == alone->version));
      }
      for (int n = 0; n < key_count; ++n) {
        const auto expected = model.get(name(n), at);
        const auto got = root.get(name(n), at);
        REQUIRE(got.has_value() == expected.has_value());
        if (!got) continue;
        REQUIRE(IndexModel::Found{got->modified, got->create_revision, got->version} == *expected);
        REQUIRE(got->row_bytes == model.row_bytes[got->modified]);
        live.push_back(name(n));
      }
      std::sort(live.begin(), live.end());
      for (const auto& key : live)
        bytes += static_cast<std::int64_t>(framed_size(model.row_bytes[model.get(key, at)->modified]));
      REQUIRE(keys_at(root, KeyRange::all(), at) == live);
      REQUIRE(root.count(KeyRange::all(), at) == static_cast<std::int64_t>(live.size()));
      const auto size = root.size(KeyRange::all(), at);
      REQUIRE(size.keys == static_cast<std::int64_t>(live.size()));
      REQUIRE(size.framed_bytes == bytes);
      for (int i = 0; i < 5; ++i) {
        auto a = name(random.below(key_count)), b = name(random.below(key_count));
        const auto range = i == 0 ? KeyRange::from(a) : KeyRange::interval(a, b);
        std::vector<std::string> inside;
        for (const auto& key : live)
          if (key >= a && (i == 0 || key < b)) inside.push_back(key);
        REQUIRE(keys_at(root, range, at) == inside);
        REQUIRE(root.count(range, at) == static_cast<std::int64_t>(inside.size()));
        REQUIRE(root.size(range, at).keys == static_cast<std::int64_t>(inside.size()));
      }
    };
    const auto check_keep = [&](std::int64_t at) {
      const auto root = index.current();
      const auto kept = model.keep(at);
      REQUIRE(root.keeps_any(at, IndexRoot::Tombstones::kLeaveOut) == !kept.empty());
      for (const auto& [key, of] : model.keys)
        for (const auto& generation : of.generations)
          for (const auto& r : generation.revs)
            REQUIRE(root.keeps(key, r, at, IndexRoot::Tombstones::kLeaveOut) == kept.contains(r));
    };
    for (int step = 0; step < 1500; ++step) {
      const auto what = random.below(100);
      if (what < 90) {
        ++main;
        const auto changes = 1 + random.below(4);
        std::set<std::string> touched;
        std::int64_t sub = 0;
        for (std::uint64_t c = 0; c < changes; ++c) {
          const auto key = name(random.below(key_count));
          if (!touched.insert(key).second) continue;
          const auto bytes = static_cast<std::uint32_t>(random.below(400));
          if (random.below(3) == 0) {
            const bool expected = model.tombstone(key, {main, sub}, bytes);
            REQUIRE(index.tombstone(key, {main, sub}, bytes) == expected);
            if (expected) ++sub;
          } else {
            model.put(key, {main, sub}, bytes);
            index.put(key, {main, sub}, bytes);
            ++sub;
          }
        }
      } else if (what < 97) {
        auto published = index.publish();
        garbage.push_back(std::move(published.garbage));
        if (garbage.size() > 3) {
          for (auto& g : garbage) index.reclaim(std::move(g));
          garbage.clear();
        }
      } else if (main > compacted + 1) {
        const auto to = compacted + 1 + static_cast<std::int64_t>(random.below(main - compacted));
        check_keep(to);
        const auto kept = model.compact(to);
        compact_all(index, to, 1 + random.below(100));
        compacted = to;
        const auto root = index.current();
        REQUIRE(root.entries() == static_cast<std::int64_t>(model.keys.size()));
        REQUIRE(root.keeps_any(to, IndexRoot::Tombstones::kKeep) == !kept.empty());
        for (const auto& [key, of] : model.keys) {
          Generations expected;
          for (const auto& generation : of.generations) {
            expected.push_back({generation.created, generation.version, generation.revs});
            for (const auto& r : generation.revs)
              REQUIRE(root.keeps(key, r, to, IndexRoot::Tombstones::kKeep) == kept.contains(r));
          }
          REQUIRE(root.generations(key) == expected);
        }
      }
      if (step % 100 == 99) {
        check(main);
        check(compacted);
        check(compacted + static_cast<std::int64_t>(random.below(main - compacted + 1)));
      }
    }
    for (std::int64_t at = std::max<std::int64_t>(compacted, main - 40); at <= main; ++at) check(at);
    check_keep(main);
    for (auto& g : garbage) index.reclaim(std::move(g));
  }
}

}  // namespace etcdpp::mvcc
