#include <etcdpp/mvcc/hash_kv.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <etcdpp/base/crc32c.h>
#include <etcdpp/base/random.h>
#include <etcdpp/mvcc/key_value.h>

#include "index_model.h"
#include "store_testing.h"

namespace etcdpp::mvcc {
namespace {

KeyValueHash hash_at(StoreFixture& f, std::int64_t revision) {
  HashKv hash(f.store->views(), f.store->hashes(), revision);
  auto done = hash.run();
  if (!done) FAIL("hash: " << done.error().message());
  return *done;
}

/// The rule of etcd on a plain list of rows.
std::uint32_t plain_hash(const std::vector<std::pair<std::string, std::string>>& rows, std::int64_t compact, std::int64_t revision, const std::set<Revision>& keep) {
  std::uint32_t crc = base::crc32c(0, "key");
  for (const auto& [key, value] : rows) {
    const auto row = decode_row_key(key);
    REQUIRE(row);
    if (row->revision.main > revision) continue;
    if (row->revision.main <= compact && !keep.empty() && !keep.contains(row->revision)) continue;
    if (row->revision.main == compact && row->tombstone) continue;
    crc = base::crc32c(base::crc32c(crc, key), value);
  }
  return crc;
}

}  // namespace

// The history and the numbers of a real etcd 3.7.1, every compaction of it (the same as in the spec's walkthrough).
TEST_CASE("hash: every HashKV and compaction hash of the walkthrough") {
  StoreFixture f;
  f.put("foo", "a");
  f.put("foo", "b");
  f.erase(KeyRange::single("foo"));
  f.put("foo", "c");
  f.erase(KeyRange::single("foo"));
  f.put("bar", "x");
  f.put("bar", "y");
  {
    WriteTxn txn(*f.store);
    txn.put("t1", "1", 0);
    txn.put("t2", "2", 0);
    CHECK(txn.delete_range(KeyRange::single("bar")) == 1);
    txn.put("t3", "3", 0);
    CHECK(txn.end() == 9);
    f.entry_done();
  }
  CHECK(f.put("foo", "d") == 10);
  f.publish();
  CHECK(hash_at(f, 0) == KeyValueHash{1083499024, -1, 10});

  struct Step {
    std::int64_t compact;
    std::uint32_t hash_kv;
    std::vector<std::string> rows;
    KeyValueHash compaction;
  };
  const std::vector<Step> steps = {
      {3, 2105231766, {"3.0", "4.0t", "5.0", "6.0t", "7.0", "8.0", "9.0", "9.1", "9.2t", "9.3", "10.0"}, {3418819038, -1, 3}},
      {4, 3801949265, {"4.0t", "5.0", "6.0t", "7.0", "8.0", "9.0", "9.1", "9.2t", "9.3", "10.0"}, {2490713407, 3, 4}},
      {5, 1985740336, {"5.0", "6.0t", "7.0", "8.0", "9.0", "9.1", "9.2t", "9.3", "10.0"}, {2276368441, 4, 5}},
      {6, 2725694753, {"6.0t", "7.0", "8.0", "9.0", "9.1", "9.2t", "9.3", "10.0"}, {1971398706, 5, 6}},
      {7, 1597825284, {"7.0", "8.0", "9.0", "9.1", "9.2t", "9.3", "10.0"}, {21219492, 6, 7}},
      {9, 1225749451, {"9.0", "9.1", "9.2t", "9.3", "10.0"}, {3850572082, 7, 9}},
      {10, 1225749451, {"9.0", "9.1", "9.3", "10.0"}, {1225749451, 9, 10}},
  };
  for (const auto& step : steps) {
    CAPTURE(step.compact);
    REQUIRE(f.compact(step.compact));
    f.publish();
    // In force, rows still there; then the job done: the same hash.
    if (step.compact != 10) CHECK(hash_at(f, 10) == KeyValueHash{step.hash_kv, step.compact, 10});
    f.finish_compactions();
    CHECK(f.rows() == step.rows);
    CHECK(f.store->hashes().at(step.compact) == step.compaction);
    if (step.compact != 10) CHECK(hash_at(f, 10) == KeyValueHash{step.hash_kv, step.compact, 10});
    // From here on asking for that revision gives the stored hash, whatever else has happened.
    CHECK(hash_at(f, step.compact) == step.compaction);
  }
  CHECK(hash_at(f, 0).hash == 1225749451);
  CHECK(hash_at(f, 3) == steps[0].compaction);
  f.restart();
  CHECK(f.store->hashes().all().empty());
  CHECK(hash_at(f, 0) == KeyValueHash{1225749451, 10, 10});
  HashKv compacted(f.store->views(), f.store->hashes(), 9);
  CHECK(compacted.run().error().code == make_error_code(Errc::kCompacted));
  HashKv future(f.store->views(), f.store->hashes(), 11);
  CHECK(future.run().error().code == make_error_code(Errc::kFutureRevision));
}

// A real etcd's database, row by row, and what it answered for every revision.
TEST_CASE("hash: HashKV of a real etcd's database at every revision") {
  const std::string folder = "../shared/testdata/etcd/a-datadir/";
  std::ifstream dump(folder + "buckets-hex.txt");
  std::ifstream answers(folder + "hashkv-per-revision.jsonl");
  if (!dump || !answers) {
    std::printf("SKIPPED: %s is not there, so HashKV was not compared with a real etcd's database\n", folder.c_str());
    return;
  }
  StoreFixture f;
  std::string line, bucket;
  auto from_hex = [](const std::string& hex) {
    std::string out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) out.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    return out;
  };
  std::size_t rows = 0;
  while (std::getline(dump, line)) {
    if (line.starts_with("### bucket ")) {
      bucket = line.substr(11);
      continue;
    }
    const auto space = line.find(' ');
    const auto key = from_hex(line.substr(0, space)), value = space == std::string::npos ? "" : from_hex(line.substr(space + 1));
    if (bucket == "key") {
      f.backend->buffer().append_row(key, value);
      ++rows;
    } else if (bucket == "meta" && key.ends_with("CompactRev")) {
      f.backend->buffer().put(backend::Bucket::kMeta, key, value);
    }
  }
  f.entry_done();
  f.restart();
  REQUIRE(f.restored.rows == rows);
  CHECK(f.store->revision() == 203);
  CHECK(f.store->compact_revision() == 155);

  int compared = 0;
  while (std::getline(answers, line)) {
    const auto field = [&](const std::string& name) -> std::int64_t {
      const auto at = line.find("\"" + name + "\":");
      return at == std::string::npos ? -1 : std::stoll(line.substr(at + name.size() + 3));
    };
    const auto revision = field("rev"), hash = field("hash");
    if (hash < 0) continue;
    if (field("compact_revision") != 155) continue;  // a stored compaction hash: gone with a restart
    CAPTURE(line);
    CHECK(hash_at(f, revision) == KeyValueHash{static_cast<std::uint32_t>(hash), 155, revision});
    ++compared;
  }
  CHECK(compared >= 40);
}

// So does a real etcd 3.7.1: 0 is a revision like others to it, once; from then on "the current one" hits that hash.
TEST_CASE("hash: a compaction to 0 succeeds once and answers HashKV of revision 0 from then on") {
  StoreFixture f;
  f.put("a", "1");
  f.publish();
  REQUIRE(f.compact(0));
  CHECK(f.compact(0).error().code == make_error_code(Errc::kCompacted));
  f.finish_compactions();
  CHECK(hash_at(f, 0) == KeyValueHash{1084519789, -1, 0});
  REQUIRE(f.compact(1));
  f.finish_compactions();
  CHECK(hash_at(f, 0) == KeyValueHash{1084519789, -1, 0});
}

TEST_CASE("hash: random histories equal the rule on a plain list of rows, during and after compactions") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    base::Random random(seed);
    StoreFixture f;
    IndexModel model;
    std::vector<std::pair<std::string, std::string>> rows;
    std::int64_t main = 1, compacted = -1;
    for (int round = 0; round < 12; ++round) {
      for (int i = 0; i < 60; ++i) {
        const auto key = "k" + std::to_string(random.below(20));
        const auto before = f.observer->changes.size();
        if (random.below(3) == 0) {
          f.erase(KeyRange::single(key));
        } else {
          f.put(key, std::string(random.below(20), 'v'));
        }
        if (f.observer->changes.size() == before) continue;
        const auto& change = f.observer->changes.back();
        main = change.revision.main;
        base::Bytes row;
        if (change.tombstone) {
          append_encoded({.key = key, .value = {}}, row);
          model.tombstone(key, change.revision, 1);
        } else {
          row = change.key_value;
          model.put(key, change.revision, 1);
        }
        rows.emplace_back(RowKeyBytes(change.revision, change.tombstone).view(), row);
        if (random.one_in(30)) f.commit();
      }
      f.publish();
      for (int i = 0; i < 5; ++i) {
        const auto at = std::max<std::int64_t>(compacted, 1) + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(main - std::max<std::int64_t>(compacted, 1) + 1)));
        if (f.store->hashes().at(at)) continue;
        CHECK(hash_at(f, at).hash == plain_hash(rows, compacted, at, model.keep(at)));
      }
      const auto previous = compacted;
      compacted = std::max<std::int64_t>(compacted, 1) + 1 + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(main - std::max<std::int64_t>(compacted, 1))));
      REQUIRE(f.compact(compacted));
      f.publish();
      CHECK(hash_at(f, main).hash == plain_hash(rows, compacted, main, model.keep(main)));
      const auto kept = model.compact(compacted);
      const auto expected = plain_hash(rows, previous, compacted, kept);
      f.finish_compactions();
      CHECK(f.store->hashes().at(compacted) == KeyValueHash{expected, previous, compacted});
      std::erase_if(rows, [&](const auto& row) {
        const auto r = decode_row_key(row.first)->revision;
        return r.main <= compacted && !kept.contains(r);
      });
      REQUIRE(f.rows().size() == rows.size());
      CHECK(hash_at(f, main).hash == (f.store->hashes().at(main) ? f.store->hashes().at(main)->hash : plain_hash(rows, compacted, main, model.keep(main))));
    }
    CHECK(f.store->hashes().all().size() == CompactionHashes::kKept);
  }
}

}  // namespace etcdpp::mvcc
