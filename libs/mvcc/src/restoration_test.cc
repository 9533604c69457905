#include <etcdpp/mvcc/restoration.h>

#include <map>
#include <string>

#include <doctest/doctest.h>

#include <etcdpp/base/random.h>
#include <etcdpp/mvcc/errc.h>
#include <etcdpp/mvcc/key_value.h>

namespace etcdpp::mvcc {
namespace {

std::string encoded(base::BytesView key, std::int64_t created, std::int64_t modified, std::int64_t version) {
  base::Bytes out;
  append_encoded({.key = key, .create_revision = created, .mod_revision = modified, .version = version, .value = "v"}, out);
  return out;
}

base::Result<> add(Restoration& rows, Revision revision, base::BytesView value, bool tombstone = false) {
  return rows.add(RowKeyBytes(revision, tombstone), value);
}

}  // namespace

TEST_CASE("restoration: alone or with a worker, more rows than a batch holds, whatever the keys look like") {
  for (const bool beside : {false, true}) {
    CAPTURE(beside);
    base::Random random(3);
    Restoration rows(beside ? std::make_unique<base::Worker>("restore") : nullptr);
    struct Key {
      std::int64_t created, modified, version;
    };
    std::map<std::string, Key> expected;
    for (std::int64_t main = 2; main < 400'000; ++main) {
      const std::uint64_t n = random.below(200'000);
      std::string key;
      switch (n % 6) {
        case 0: key = "/registry/a/rather/long/prefix/of/pods/" + std::to_string(n); break;
        case 1: key = std::string(n % 40, '\0'); break;
        case 2: key = std::string(8 + n % 3, 'x') + std::string(n / 6 % 9, '\0') + std::to_string(n % 500); break;
        case 3: key = std::string("\xff\xfe") + std::to_string(n * 0x9e3779b97f4a7c15ULL); break;
        default: key = "bench/" + std::to_string(n); break;
      }
      Key& at = expected.try_emplace(key, Key{main, 0, 0}).first->second;
      at.modified = main;
      ++at.version;
      REQUIRE(add(rows, {main, 0}, encoded(key, at.created, main, at.version)));
    }
    rows.end();
    const TreeIndex index = rows.take_index();
    REQUIRE(index.current().entries() == static_cast<std::int64_t>(expected.size()));
    auto next = expected.begin();
    IndexCursor cursor(index.current(), KeyRange::all(), 400'000);
    for (KeyState state; cursor.next(state); ++next) {
      REQUIRE(next != expected.end());
      REQUIRE(state.key == next->first);
      REQUIRE(state.create_revision == next->second.created);
      REQUIRE(state.modified == Revision{next->second.modified, 0});
      REQUIRE(state.version == next->second.version);
    }
    REQUIRE(next == expected.end());
  }
}

TEST_CASE("restoration: rows that no store has written are refused by name") {
  Restoration rows;
  REQUIRE(add(rows, {5, 0}, encoded("a", 5, 5, 1)));
  CHECK(add(rows, {5, 0}, encoded("a", 5, 5, 1)).error().code == Errc::kBadRow);
  CHECK(add(rows, {4, 0}, encoded("a", 5, 5, 1)).error().code == Errc::kBadRow);
  CHECK(add(rows, {6, std::int64_t{1} << 33}, encoded("a", 5, 5, 1)).error().code == Errc::kBadRow);
  CHECK(add(rows, {7, 0}, "\x0a\x7f").error().code == Errc::kBadRow);
  CHECK(rows.add("seven", "").error().code == Errc::kBadRowKey);
}

}  // namespace etcdpp::mvcc
