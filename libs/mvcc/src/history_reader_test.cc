#include <etcdpp/mvcc/history_reader.h>

#include "store_testing.h"
#include "watch_testing.h"

namespace etcdpp::mvcc {
namespace {

/// "2 put a=1" for every event.
std::vector<std::string> texts(const std::vector<RevisionEvents>& revisions) {
  std::vector<std::string> all;
  for (const RevisionEvents& events : revisions) {
    for (std::size_t i = 0; i < events.size(); ++i) {
      const SeenEvent seen = decode_event(events[i].encoded, {});
      CHECK(seen.revision == events.revision());
      CHECK(seen.key == events[i].key);
      CHECK(seen.tombstone == events[i].tombstone);
      all.push_back(std::to_string(seen.revision) + (seen.tombstone ? " delete " : events[i].creates ? " create " : " put ") + seen.key +
                    (seen.tombstone ? "" : "=" + seen.value));
    }
  }
  return all;
}

using Texts = std::vector<std::string>;

TEST_CASE("history: events of buffered and committed rows are the same, cut between revisions") {
  StoreFixture f;
  f.put("a", "1");
  {
    WriteTxn txn(*f.store);
    txn.put("b", "2", 0);
    txn.put("a", "3", 0);
    txn.delete_range(KeyRange::single("b"));
    txn.end();
    f.entry_done();
  }
  f.put("c", "4");
  f.publish();
  const Texts expected{"2 create a=1", "3 create b=2", "3 put a=3", "3 delete b", "4 create c=4"};
  for (int round = 0; round < 3; ++round) {
    const auto all = read_history(f.store->views(), 2);
    REQUIRE(all);
    CHECK(texts(all->revisions) == expected);
    CHECK(all->covered_to == 4);
    CHECK(all->current_revision == 4);
    auto some = read_history(f.store->views(), 2, {.revisions = 2});
    REQUIRE(some);
    CHECK(some->revisions.size() == 2);
    CHECK(some->covered_to == 3);
    some = read_history(f.store->views(), 3, {.bytes = 1});
    REQUIRE(some);
    CHECK(some->revisions.size() == 1);
    CHECK(some->covered_to == 3);
    CHECK(read_history(f.store->views(), 5)->revisions.empty());
    if (round == 0) f.commit();
    if (round == 1) f.restart();
  }
}

TEST_CASE("history: what the log holds is what the store is read to") {
  StoreFixture f;
  f.put("a", "1");
  f.erase(KeyRange::single("a"));
  f.publish();
  RevisionEventsBuilder log;
  for (const RecordedChange& change : f.observer->changes) {
    log.add(change.key, change.key_value, change.tombstone, change.creates);
    const RevisionEvents from_log = log.take(change.revision.main);
    const auto from_store = read_history(f.store->views(), change.revision.main, {.revisions = 1});
    REQUIRE(from_store);
    REQUIRE(from_store->revisions.size() == 1);
    CHECK(from_store->revisions[0][0].encoded == from_log[0].encoded);
    CHECK(from_store->revisions[0][0].creates == from_log[0].creates);
  }
}

TEST_CASE("history: nothing below the compact revision, everything from it on") {
  StoreFixture f;
  for (const char* value : {"1", "2", "3", "4"}) f.put("a", value);
  REQUIRE(f.compact(3));
  f.publish();
  CHECK(read_history(f.store->views(), 2).error().code == Errc::kCompacted);
  f.finish_compactions();
  CHECK(read_history(f.store->views(), 2).error().code == Errc::kCompacted);
  const auto all = read_history(f.store->views(), 3);
  REQUIRE(all);
  CHECK(texts(all->revisions) == Texts{"3 put a=2", "4 put a=3", "5 put a=4"});
}

}  // namespace
}  // namespace etcdpp::mvcc
