#include <etcdpp/mvcc/watcher_set.h>

#include <algorithm>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include <etcdpp/base/random.h>

namespace etcdpp::mvcc {
namespace {

TEST_CASE("watcher set: matches what a scan over all ranges matches") {
  struct Entry {
    std::string begin, end;
    int kind;
    KeyRange range() const {
      return kind == 0 ? KeyRange::single(begin) : kind == 1 ? KeyRange::interval(begin, end) : KeyRange::from(begin);
    }
  };
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    base::Random random(seed);
    const auto key = [&] {
      std::string text(random.below(3), 'a');
      for (char& c : text) c = static_cast<char>('a' + random.below(4));
      return text;
    };
    WatcherSet set(seed);
    std::vector<std::unique_ptr<Entry>> entries;
    for (int step = 0; step < 1500; ++step) {
      if (entries.empty() || random.below(5) < 3) {
        auto entry = std::make_unique<Entry>(Entry{key(), key(), static_cast<int>(random.below(3))});
        if (entry->kind == 1 && entry->end <= entry->begin) entry->end = entry->begin + 'b';
        set.insert(entry->range(), entry.get());
        entries.push_back(std::move(entry));
      } else {
        const auto at = entries.begin() + static_cast<std::ptrdiff_t>(random.below(entries.size()));
        set.erase((*at)->range(), at->get());
        entries.erase(at);
      }
      const std::string wanted = key();
      std::multiset<void*> found, expected;
      set.match(wanted, [&](void* entry) { found.insert(entry); });
      for (const auto& entry : entries) {
        if (entry->range().contains(wanted)) expected.insert(entry.get());
      }
      REQUIRE(found == expected);
      REQUIRE(set.size() == entries.size());
    }
    std::size_t all = 0;
    set.for_each([&](void*) { ++all; });
    CHECK(all == entries.size());
    set.clear();
    set.match("a", [&](void*) { FAIL("the set is empty"); });
  }
}

TEST_CASE("watcher set: ten thousand nested and ordered ranges are found without deep recursion or a scan") {
  WatcherSet set(7);
  std::vector<std::string> keys;
  for (int i = 0; i < 10'000; ++i) keys.push_back("k" + std::to_string(100'000 + i));
  for (std::size_t i = 0; i + 1 < keys.size(); ++i) set.insert(KeyRange::interval(keys[i], keys[i + 1]), &keys[i]);
  for (std::size_t i = 0; i + 1 < keys.size(); i += 97) {
    std::vector<void*> found;
    set.match(keys[i] + "x", [&](void* entry) { found.push_back(entry); });
    REQUIRE(found == std::vector<void*>{&keys[i]});
  }
}

}  // namespace
}  // namespace etcdpp::mvcc
