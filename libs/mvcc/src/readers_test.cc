#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include <etcdpp/base/random.h>
#include <etcdpp/mvcc/key_value.h>

#include "store_testing.h"

namespace etcdpp::mvcc {
namespace {

constexpr int kKeys = 200;

std::string key_of(int n) {
  return "key/" + std::to_string(n);
}

/// The value that transaction `revision` writes under every key that it writes: a reader can tell what it ought to see.
std::string value_of(std::int64_t revision) {
  return "v" + std::to_string(revision);
}

}  // namespace

// Apply writes, publishes and compacts, commit commits and deletes, readers check that nothing is missing, torn or from
// another revision. Every transaction with revision r writes key r mod kKeys and its two neighbours.
TEST_CASE("readers: beside apply, commit and compaction they see whole revisions and every row") {
  base::SystemClock clock;  // the commit loop pauses between slices of deletions
  StoreFixture f(&clock);
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::atomic<std::int64_t> ranges{0}, refused{0}, hashes{0};

  const auto wrote = [](std::int64_t revision, int key) {
    const auto base = static_cast<int>(revision % kKeys);
    return key == base || key == (base + 1) % kKeys || key == (base + 2) % kKeys;
  };
  const auto last_write = [&](std::int64_t at, int key) {
    for (std::int64_t r = at; r > std::max<std::int64_t>(1, at - kKeys); --r)
      if (wrote(r, key)) return r;
    return std::int64_t{0};
  };
  const auto fail = [&](const std::string& what) {
    if (failures.fetch_add(1) < 5) std::fprintf(stderr, "reader: %s\n", what.c_str());
  };
  for (int r = 2; r <= kKeys + 1; ++r) {
    WriteTxn txn(*f.store);
    for (int k = 0; k < kKeys; ++k)
      if (wrote(r, k)) txn.put(key_of(k), value_of(r), 0);
    txn.end();
    f.entry_done();
  }
  f.publish();

  std::thread apply([&] {
    base::Random random(1);
    // On a busy machine until everybody has had a turn, and a compaction has come to its end between the pins.
    const auto enough = [&] { return ranges > 20 && hashes > 0 && f.store->compaction().finished_revision() > 0; };
    for (int batch = 0; batch < 600 || (!enough() && batch < 20'000); ++batch) {
      for (auto n = 1 + random.below(20); n > 0; --n) {
        WriteTxn txn(*f.store);
        const std::int64_t revision = txn.begin_revision() + 1;
        for (int k = 0; k < 3; ++k) txn.put(key_of(static_cast<int>((revision + k) % kKeys)), value_of(revision), 0);
        txn.end();
        f.entry_done();
      }
      if (random.one_in(3)) f.backend->freeze();
      if (batch % 60 == 59 && f.store->compaction().idle()) {
        if (auto done = f.compact(f.store->revision() - 300); !done) fail(done.error().message());
      }
      f.store->step_compaction(50);
      f.store->publish(f.index);
      while (f.backend->saturated()) std::this_thread::yield();
      if (batch % 16 == 0) std::this_thread::yield();
    }
    stop = true;
  });
  std::thread commit([&] {
    while (!stop) {
      auto worked = f.backend->commit_loop().step();
      if (!worked) fail(worked.error().message());
      if (!worked || !*worked) std::this_thread::yield();
    }
  });
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&, t] {
      base::Random random(100 + static_cast<std::uint64_t>(t));
      std::vector<RangeRow> rows;
      while (!stop) {
        if (t == 2 && random.one_in(50)) {
          HashKv hash(f.store->views(), f.store->hashes(), 0);
          if (auto done = hash.run(); !done) fail(done.error().message());
          ++hashes;
        }
        auto reader = RangeReader::open(f.store->views());
        if (!reader) {
          fail(reader.error().message());
          break;
        }
        const auto newest = reader->view().revision;
        const auto requested =
            random.one_in(2) ? 0
                             : std::max<std::int64_t>(newest - static_cast<std::int64_t>(random.below(400)), kKeys + 1);
        rows.clear();
        auto answer = reader->range(KeyRange::all(), {.revision = requested}, rows);
        if (!answer) {
          if (answer.error().code != make_error_code(Errc::kCompacted) &&
              answer.error().code != make_error_code(Errc::kFutureRevision))
            fail(answer.error().message());
          ++refused;
          continue;
        }
        ++ranges;
        if (rows.size() != kKeys || answer->count != kKeys) fail("keys: " + std::to_string(rows.size()));
        for (const auto& row : rows) {
          auto kv = decode_key_value(row.key_value);
          if (!kv || kv->key != row.state.key) {
            fail("a row of another key");
            continue;
          }
          const int key = std::stoi(std::string(kv->key.substr(4)));
          const auto expected = last_write(answer->revision, key);
          if (kv->mod_revision != expected || kv->value != value_of(expected))
            fail("key " + std::to_string(key) + " at " + std::to_string(answer->revision) + ": mod " +
                 std::to_string(kv->mod_revision) + ", not " + std::to_string(expected));
        }
      }
    });
  }
  // One that goes through in slices under a pin, however long that takes.
  readers.emplace_back([&] {
    std::vector<RangeRow> rows;
    while (!stop) {
      RangeCursor cursor(KeyRange::all(), {}, RangeCursor::Hold::kPin);
      std::int64_t n = 0;
      {
        auto reader = RangeReader::open(f.store->views());
        if (!reader || !cursor.start(f.store->views(), *reader)) {
          fail("cursor");
          break;
        }
      }
      while (!cursor.done()) {
        rows.clear();
        auto reader = RangeReader::open(f.store->views());
        if (!reader) {
          fail(reader.error().message());
          break;
        }
        if (auto got = cursor.next(*reader, 11, 1 << 20, rows); !got) {
          fail("slice: " + got.error().message());
          break;
        }
        for (const auto& row : rows) {
          const int key = std::stoi(std::string(row.state.key.substr(4)));
          if (row.state.modified.main != last_write(cursor.answer().revision, key)) fail("a slice of another revision");
          ++n;
        }
      }
      if (n != kKeys) fail("slices: " + std::to_string(n) + " keys");
    }
  });
  apply.join();
  commit.join();
  for (auto& reader : readers) reader.join();
  f.store->publish(f.index);
  CHECK(failures == 0);
  CHECK(ranges > 20);
  CHECK(hashes > 0);
  CHECK(f.store->views().held() == 1);
  CHECK(f.store->compaction().finished_revision() > 0);
  MESSAGE("ranges " << ranges.load() << ", refused " << refused.load() << ", hashes " << hashes.load());
}

}  // namespace etcdpp::mvcc
