#include <etcdpp/mvcc/store.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <etcdpp/base/random.h>
#include <etcdpp/mvcc/key_value.h>

#include "store_testing.h"

namespace etcdpp::mvcc {
namespace {

/// "key=value@create,mod,version,lease", for every row of an answer.
std::vector<std::string> texts(const std::vector<RangeRow>& rows) {
  std::vector<std::string> all;
  for (const auto& row : rows) {
    auto kv = decode_key_value(row.key_value);
    REQUIRE(kv);
    REQUIRE(kv->key == row.state.key);
    REQUIRE(kv->create_revision == row.state.create_revision);
    REQUIRE(kv->mod_revision == row.state.modified.main);
    REQUIRE(kv->version == row.state.version);
    REQUIRE(row.key_value.size() == row.state.row_bytes);
    all.push_back(std::string(kv->key) + "=" + std::string(kv->value) + "@" + std::to_string(kv->create_revision) +
                  "," + std::to_string(kv->mod_revision) + "," + std::to_string(kv->version) + "," +
                  std::to_string(kv->lease));
  }
  return all;
}

std::vector<std::string> list(const RangeReader& reader, const KeyRange& range, const RangeOptions& options = {}) {
  std::vector<RangeRow> rows;
  auto answer = reader.range(range, options, rows);
  if (!answer) return {answer.error().code.message()};
  return texts(rows);
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("store: a fresh one is at revision 1 and was never compacted") {
  StoreFixture f;
  CHECK(f.store->revision() == 1);
  CHECK(f.store->compact_revision() == -1);
  CHECK(f.store->views().current()->revision == 1);
  std::vector<RangeRow> rows;
  auto answer = f.reader().range(KeyRange::all(), {}, rows);
  REQUIRE(answer);
  CHECK(answer->current_revision == 1);
  CHECK(answer->count == 0);
}

TEST_CASE("store: one revision per transaction, one sub per change, none without change") {
  StoreFixture f;
  {
    WriteTxn txn(*f.store);
    CHECK(txn.revision() == 1);
    txn.put("a", "1", 0);
    CHECK(txn.revision() == 2);
    txn.put("b", "2", 0);
    {
      auto inside = txn.reader();
      REQUIRE(inside);
      CHECK(list(*inside, KeyRange::all()) == Texts{"a=1@2,2,1,0", "b=2@2,2,1,0"});
      CHECK(inside->view().revision == 2);
    }
    CHECK(txn.delete_range(KeyRange::from("b")) == 1);
    CHECK(txn.delete_range(KeyRange::from("b")) == 0);
    CHECK(txn.end() == 2);
    f.entry_done();
  }
  {
    WriteTxn txn(*f.store);
    CHECK(txn.delete_range(KeyRange::single("nothing")) == 0);
    CHECK(txn.end() == 2);
    f.entry_done();
  }
  CHECK(f.put("a", "3") == 3);
  CHECK(f.reader().view().revision == 1);
  f.publish();
  CHECK(f.rows() == Texts{"2.0", "2.1", "2.2t", "3.0"});
  CHECK(list(f.reader(), KeyRange::all()) == Texts{"a=3@2,3,2,0"});
  CHECK(list(f.reader(), KeyRange::all(), {.revision = 2}) == Texts{"a=1@2,2,1,0"});
  CHECK(list(f.reader(), KeyRange::all(), {.revision = 4}) == Texts{"mvcc: required revision is a future revision"});

  REQUIRE(f.observer->ends == std::vector<std::int64_t>{2, 3});
  REQUIRE(f.observer->changes.size() == 4);
  CHECK(f.observer->changes[0].creates);
  CHECK(f.observer->changes[2].tombstone);
  CHECK(base::hex(f.observer->changes[2].key_value) == "0a01621802");
  CHECK_FALSE(f.observer->changes[3].creates);
  CHECK(f.observer->changes[3].revision == Revision{3, 0});
  CHECK(decode_key_value(f.observer->changes[3].key_value)->version == 2);
}

TEST_CASE("store: range options") {
  StoreFixture f;
  for (const char* key : {"a", "b", "c", "d", "e"}) f.put(key, key);
  f.publish();
  const auto reader = f.reader();
  std::vector<RangeRow> rows;
  auto answer = reader.range(KeyRange::of("b", "e"), {.limit = 2}, rows);
  REQUIRE(answer);
  CHECK(texts(rows) == Texts{"b=b@3,3,1,0", "c=c@4,4,1,0"});
  CHECK(answer->count == 3);
  CHECK(answer->more);
  rows.clear();
  answer = reader.range(KeyRange::of("b", "e"), {.limit = 3}, rows);
  CHECK(rows.size() == 3);
  CHECK_FALSE(answer->more);
  rows.clear();
  answer = reader.range(KeyRange::of("b", std::string_view("\0", 1)), {.limit = 1, .count_only = true}, rows);
  CHECK(rows.empty());
  CHECK(answer->count == 4);
  CHECK_FALSE(answer->more);
  answer = reader.range(KeyRange::of("a", ""), {.revision = 1}, rows);
  CHECK(answer->count == 0);
  answer = reader.range(KeyRange::of("c", "b"), {}, rows);
  CHECK(answer->count == 0);
  CHECK(rows.empty());
  answer = reader.range(KeyRange::all(), {.keys_only = true}, rows);
  REQUIRE(rows.size() == 5);
  CHECK(rows[4].state.key == "e");
  CHECK(rows[4].key_value.empty());
}

TEST_CASE("store: keys read together are answered a number and a size at a time") {
  StoreFixture f;
  const base::Bytes large(400 * 1024, 'v');
  for (const char* key : {"a", "b", "c"}) f.put(key, large);
  f.put("d", "small");
  f.publish();
  f.commit();
  const auto reader = f.reader();
  const auto read = [&](std::vector<base::BytesView> keys) {
    std::vector<KeyRead> reads;
    for (const auto key : keys) reads.push_back({.key = key});
    const std::size_t answered = reader.get(reads);
    for (std::size_t i = 0; i < answered; ++i) {
      REQUIRE((reads[i].key_value && *reads[i].key_value));
      CHECK(decode_key_value(**reads[i].key_value)->key == reads[i].key);
    }
    return answered;
  };
  CHECK(read({}) == 0);
  CHECK(read({"a"}) == 1);
  CHECK(read({"a", "d", "b", "d", "c", "d"}) == 4);
  CHECK(read({"c", "d"}) == 2);
  CHECK(read(std::vector<base::BytesView>(100, "d")) == kKeysSideBySide);
  f.put("larger than that", base::Bytes(RangeReader::kBytesSideBySide + 1, 'v'));
  f.publish();
  const auto newer = f.reader();
  std::vector<KeyRead> alone{{.key = "larger than that"}, {.key = "d"}};
  CHECK(newer.get(alone) == 1);
  CHECK(alone[0].key_value->has_value());
}

TEST_CASE("store: leases are attached and detached with the changes, and again after a restart") {
  StoreFixture f;
  f.put("a", "1", 7);
  f.put("b", "1", 7);
  f.put("c", "1", 8);
  CHECK(f.leases->lease_of == std::map<std::string, std::int64_t>{{"a", 7}, {"b", 7}, {"c", 8}});
  f.put("a", "2", 8);
  f.put("b", "2");
  f.erase(KeyRange::single("c"));
  f.put("d", "1", 9);
  const auto expected = f.leases->lease_of;
  CHECK(expected == std::map<std::string, std::int64_t>{{"a", 8}, {"d", 9}});
  f.restart();
  CHECK(f.leases->lease_of == expected);
  CHECK(f.restored.keys_with_lease == 2);
  CHECK(f.restored.missing_leases == 0);
}

TEST_CASE("store: what was not committed is gone after a crash, the rest is as it was") {
  StoreFixture f;
  f.put("a", "1");
  f.put("b", "1");
  f.commit();
  f.put("a", "2");
  f.publish();
  f.crash();
  f.open();
  CHECK(f.index == 2);
  CHECK(f.store->revision() == 3);
  CHECK(list(f.reader(), KeyRange::all()) == Texts{"a=1@2,2,1,0", "b=1@3,3,1,0"});
}

TEST_CASE("store: compaction's errors, texts and restart") {
  StoreFixture f;
  for (int i = 0; i < 9; ++i) f.put("k", std::to_string(i));
  CHECK(f.compact(11).error().code.message() == "mvcc: required revision is a future revision");
  CHECK(f.compact(-1).error().code == make_error_code(Errc::kCompacted));
  REQUIRE(f.compact(5));
  CHECK(f.compact(5).error().code.message() == "mvcc: required revision has been compacted");
  CHECK(f.store->resolve(4).error().code == make_error_code(Errc::kCompacted));
  CHECK(f.store->resolve(5).value() == 5);
  // In force for readers with the next View.
  CHECK(f.store->views().compact_revision() == -1);
  f.publish();
  CHECK(list(f.reader(), KeyRange::all(), {.revision = 4}) == Texts{"mvcc: required revision has been compacted"});
  CHECK(list(f.reader(), KeyRange::all(), {.revision = 5}) == Texts{"k=3@2,5,4,0"});
  // Not before the entry is committed.
  CHECK_FALSE(f.store->step_compaction());
  f.finish_compactions();
  CHECK(f.rows() == Texts{"5.0", "6.0", "7.0", "8.0", "9.0", "10.0"});
  f.restart();
  CHECK(f.store->compact_revision() == 5);
  CHECK_FALSE(f.restored.compaction_resumed);
  CHECK(list(f.reader(), KeyRange::all(), {.revision = 4}) == Texts{"mvcc: required revision has been compacted"});
  CHECK(list(f.reader(), KeyRange::all(), {.revision = 6}) == Texts{"k=4@2,6,5,0"});
}

TEST_CASE("store: a compaction that a crash interrupts is taken up again") {
  StoreFixture f;
  for (int i = 0; i < 3'000; ++i) f.put("k" + std::to_string(i % 10), std::to_string(i));
  f.publish();
  REQUIRE(f.compact(2'990));
  f.commit();
  while (f.store->step_compaction(3)) f.publish();
  f.clock.advance(std::chrono::milliseconds(20));
  REQUIRE(f.step());  // a slice of the row pass
  const auto left = f.rows().size();
  CHECK(left < 3'000);
  CHECK(left > 20);
  f.crash();
  f.open();
  CHECK(f.restored.compaction_resumed);
  CHECK(f.store->compact_revision() == 2'990);
  CHECK(f.store->revision() == 3'001);
  f.finish_compactions();
  CHECK(f.rows().size() == 10 + 11);
  CHECK(f.store->hashes().all().empty());  // not the whole of it was seen
  REQUIRE(f.compact(3'000));
  f.finish_compactions();
  REQUIRE(f.store->hashes().all().size() == 1);
  CHECK(f.store->hashes().all()[0].compact_revision == 2'990);
}

TEST_CASE("store: a pinned revision holds the job, not the compact revision") {
  StoreFixture f;
  for (int i = 0; i < 100; ++i) f.put("k" + std::to_string(i % 50), "v");
  f.publish();
  RangeCursor cursor(KeyRange::all(), {.revision = 60}, RangeCursor::Hold::kPin);
  RangeCursor unpinned(KeyRange::all(), {.revision = 60}, RangeCursor::Hold::kNone);
  {
    auto reader = f.reader();
    REQUIRE(cursor.start(f.store->views(), reader));
    REQUIRE(unpinned.start(f.store->views(), reader));
  }
  REQUIRE(f.compact(101));
  f.commit();
  CHECK_FALSE(f.store->step_compaction());
  CHECK(list(f.reader(), KeyRange::all(), {.revision = 60}) == Texts{"mvcc: required revision has been compacted"});
  std::vector<RangeRow> rows;
  std::size_t n = 0;
  while (!cursor.done()) {
    rows.clear();
    const auto reader = f.reader();
    REQUIRE(cursor.next(reader, 7, 1 << 20, rows));
    n += texts(rows).size();
  }
  CHECK(n == 50);
  CHECK(unpinned.next(f.reader(), 7, 1 << 20, rows).error().code == make_error_code(Errc::kCompacted));
  CHECK(f.store->step_compaction());
  f.finish_compactions();
}

TEST_CASE("cursor: it may be moved, its range goes with it") {
  StoreFixture f;
  for (const char* key : {"a", "b", "c", "d"}) f.put(key, "v");
  f.publish();
  std::vector<RangeCursor> moved;
  {
    RangeCursor cursor(KeyRange::of("b", "d"), {}, RangeCursor::Hold::kPin);
    auto reader = f.reader();
    REQUIRE(cursor.start(f.store->views(), reader));
    moved.push_back(std::move(cursor));
    RangeCursor over(KeyRange::of("x", "y"), {}, RangeCursor::Hold::kNone);  // where the first one lay
    REQUIRE(over.start(f.store->views(), reader));
  }
  std::vector<RangeRow> rows;
  const auto reader = f.reader();
  while (!moved[0].done()) REQUIRE(moved[0].next(reader, 1, 1 << 20, rows));
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].state.key == "b");
  CHECK(rows[1].state.key == "c");
}

TEST_CASE("cursor: the length of an answer is known before its rows") {
  StoreFixture f;
  base::Random random(3);
  for (int i = 0; i < 400; ++i) f.put("k" + std::to_string(random.below(150)), std::string(random.below(300), 'x'));
  f.erase(KeyRange::of("k2", "k3"));
  f.publish();
  for (const auto revision : {std::int64_t{0}, std::int64_t{200}, f.store->revision() - 1}) {
    for (const std::int64_t limit : {0, 1, 20, 1000}) {
      for (const bool keys_only : {false, true}) {
        RangeCursor cursor(KeyRange::of("k1", "k6"), {.revision = revision, .limit = limit, .keys_only = keys_only},
                           RangeCursor::Hold::kPin);
        auto first = f.reader();
        const auto answer = cursor.start(f.store->views(), first);
        REQUIRE(answer);
        for (;;) {
          auto done = cursor.measure(f.reader(), 5);
          REQUIRE(done);
          if (*done) break;
        }
        std::vector<RangeRow> rows;
        std::int64_t bytes = 0, n = 0;
        std::string last;
        while (!cursor.done()) {
          rows.clear();
          const auto reader = f.reader();
          REQUIRE(cursor.next(reader, 9, 1'000, rows));
          REQUIRE_FALSE(rows.empty());
          for (const auto& row : rows) {
            CHECK(std::string(row.state.key) > last);
            last = row.state.key;
            const KeyValue stripped{.key = row.state.key,
                                    .create_revision = row.state.create_revision,
                                    .mod_revision = row.state.modified.main,
                                    .version = row.state.version,
                                    .value = {}};
            bytes += static_cast<std::int64_t>(framed_size(keys_only ? encoded_size(stripped) : row.key_value.size()));
            ++n;
          }
        }
        CHECK(bytes == cursor.total_bytes());
        CHECK(n == (limit > 0 ? std::min(limit, answer->count) : answer->count));
        CHECK(answer->more == (limit > 0 && answer->count > limit));
      }
    }
  }
  CHECK(f.store->views().pins().lowest() == std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("store: random histories equal a map of maps, at every revision, through commits, restarts and compactions") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    base::Random random(seed);
    StoreFixture f;
    struct Value {
      std::string value;
      std::int64_t create, mod, version, lease;
    };
    using Model = std::map<std::string, Value>;
    std::map<std::int64_t, Model> history{{1, {}}};
    Model now;
    std::int64_t main = 1, compacted = -1;
    const auto check = [&](const RangeReader& reader, std::int64_t at) {
      Texts expected;
      for (const auto& [key, v] : history.at(at))
        expected.push_back(key + "=" + v.value + "@" + std::to_string(v.create) + "," + std::to_string(v.mod) + "," +
                           std::to_string(v.version) + "," + std::to_string(v.lease));
      REQUIRE(list(reader, KeyRange::all(), {.revision = at}) == expected);
    };
    // Sixty keys and others, each at a revision of its own, side by side.
    const auto check_reads = [&](const RangeReader& reader) {
      const std::int64_t newest = reader.view().revision, oldest = std::max<std::int64_t>(1, reader.view().compact_revision);
      std::vector<std::string> names;
      for (auto n = random.below(100); n > 0; --n) names.push_back("key" + std::to_string(random.below(70)));
      std::vector<KeyRead> reads;
      for (const auto& key : names)
        reads.push_back({.key = key, .revision = oldest - 1 + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(newest - oldest + 3)))});
      for (std::span<KeyRead> left(reads); !left.empty();) left = left.subspan(reader.get(left));
      for (const auto& read : reads) {
        if (read.revision > newest) {
          REQUIRE((!read.key_value && read.key_value.error().code == Errc::kFutureRevision));
          continue;
        }
        if (read.revision > 0 && read.revision < reader.view().compact_revision) {
          REQUIRE((!read.key_value && read.key_value.error().code == Errc::kCompacted));
          continue;
        }
        REQUIRE(read.key_value);
        const Model& then = history.at(read.revision <= 0 ? newest : read.revision);
        const auto expected = then.find(std::string(read.key));
        REQUIRE(read.key_value->has_value() == (expected != then.end()));
        if (expected == then.end()) continue;
        const auto kv = decode_key_value(**read.key_value);
        REQUIRE((kv && kv->key == read.key && kv->value == expected->second.value && kv->mod_revision == expected->second.mod &&
                 kv->version == expected->second.version));
      }
    };
    auto name = [&] { return "key" + std::to_string(random.below(60)); };
    for (int step = 0; step < 700; ++step) {
      const auto what = random.below(100);
      if (what < 75) {
        WriteTxn txn(*f.store);
        bool changed = false;
        for (auto ops = 1 + random.below(4); ops > 0; --ops) {
          const std::int64_t next = main + 1;
          if (random.below(4) == 0) {
            auto a = name(), b = random.one_in(2) ? std::string() : name();
            const auto range = KeyRange::of(a, b);
            std::int64_t expected = 0;
            for (auto it = now.begin(); it != now.end();) {
              if (range.contains(it->first)) {
                it = now.erase(it);
                ++expected;
              } else {
                ++it;
              }
            }
            REQUIRE(txn.delete_range(range) == expected);
            changed |= expected > 0;
          } else {
            auto key = name();
            auto value = std::string(random.below(50), static_cast<char>('a' + random.below(26)));
            const std::int64_t lease = random.one_in(3) ? static_cast<std::int64_t>(1 + random.below(3)) : 0;
            txn.put(key, value, lease);
            auto at = now.find(key);
            now[key] = at == now.end() ? Value{value, next, next, 1, lease}
                                       : Value{value, at->second.create, next, at->second.version + 1, lease};
            changed = true;
          }
        }
        const auto revision = txn.end();
        f.entry_done();
        if (changed) history[++main] = now;
        REQUIRE(revision == main);
        auto applied = f.store->applied_reader();
        REQUIRE(applied);
        if (random.one_in(10)) check(*applied, main);
      } else if (what < 85) {
        f.publish();
      } else if (what < 93) {
        f.backend->freeze();
        if (random.one_in(2)) f.step();
        f.publish();
      } else if (what < 96 && main > compacted + 1) {
        compacted = std::max<std::int64_t>(compacted, 0) + 1 +
                    static_cast<std::int64_t>(
                        random.below(static_cast<std::uint64_t>(main - std::max<std::int64_t>(compacted, 0))));
        REQUIRE(f.compact(compacted));
        if (random.one_in(2)) f.finish_compactions();
      } else if (what < 98) {
        if (f.store->step_compaction(10)) f.publish();
        f.clock.advance(std::chrono::milliseconds(20));
        f.step();
      } else if (random.one_in(3)) {
        const auto leases = f.leases->lease_of;
        f.restart();
        REQUIRE(f.leases->lease_of == leases);
        REQUIRE(f.store->revision() == main);
        REQUIRE(f.store->compact_revision() == compacted);
      }
      const auto reader = f.reader();
      const auto newest = reader.view().revision;
      const auto oldest = std::max<std::int64_t>(1, reader.view().compact_revision);
      check_reads(reader);
      check(reader, newest);
      check(reader, oldest);
      check(reader, oldest + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(newest - oldest + 1))));
    }
    f.finish_compactions();
    const auto reader = f.reader();
    for (auto at = std::max<std::int64_t>(1, compacted); at <= main; ++at) check(reader, at);
  }
}

}  // namespace etcdpp::mvcc
