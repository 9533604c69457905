#include <etcdpp/mvcc/event_log.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "watch_testing.h"

namespace etcdpp::mvcc {
namespace {

std::vector<std::int64_t> revisions(const EventLog::Batch& batch) {
  std::vector<std::int64_t> all;
  for (const RevisionEvents& events : batch.revisions) all.push_back(events.revision());
  return all;
}

using Revisions = std::vector<std::int64_t>;

TEST_CASE("event log: events are encoded as mvccpb.Event and can be seen once published") {
  FakeStore store;
  EventLog::Batch batch;
  store.apply({{"a", "1"}, {"b", "2"}});
  store.apply({{"a", std::nullopt}});
  store.log.read(2, 9, 9, 99999, batch);
  CHECK(batch.revisions.empty());
  CHECK(store.log.head() == 1);
  store.publish();
  store.log.read(2, 9, 9, 99999, batch);
  CHECK(revisions(batch) == Revisions{2, 3});
  REQUIRE(batch.revisions[0].size() == 2);
  CHECK(batch.revisions[0][1].key == "b");
  CHECK(batch.revisions[0][0].creates);
  CHECK(base::hex(batch.revisions[1][0].encoded) == "080112050a01611803");  // DELETE, kv {key a, mod_revision 3}
  store.log.read(3, 9, 9, 99999, batch);
  CHECK(revisions(batch) == Revisions{3});
  store.log.read(2, 9, 9, 1, batch);
  CHECK(revisions(batch) == Revisions{2});
  store.log.read(2, 2, 9, 99999, batch);
  CHECK(revisions(batch) == Revisions{2});
}

TEST_CASE("event log: what all hubs have taken goes first, the bound holds in any case") {
  FakeStore store({.max_bytes = 2000, .history_bytes = 600});
  FakeListener listener;
  EventLog::Reader reader(store.log, listener);
  reader.set_active(true);
  EventLog::Batch batch;
  for (int i = 0; i < 6; ++i) store.put("key", std::string(100, 'x'));
  CHECK(store.log.bytes() > 600);
  CHECK(listener.calls == 1);
  store.log.take(reader, 2, 2, 99999, batch);
  CHECK(revisions(batch) == Revisions{2, 3});
  store.put("key", "y");
  CHECK(listener.calls == 1);  // it had not taken everything: it comes again by itself
  store.log.read(2, 99, 1, 99999, batch);
  CHECK(batch.first == 4);
  store.log.take(reader, 4, 100, 99999, batch);
  store.put("key", "y");
  CHECK(listener.calls == 2);
  CHECK(store.log.bytes() <= 600);
  for (int i = 0; i < 100; ++i) store.put("key", std::string(100, 'x'));
  CHECK(store.log.bytes() <= 2000);
  store.log.take(reader, 10, 100, 99999, batch);
  CHECK(batch.revisions.empty());
  CHECK(batch.first > 10);
}

TEST_CASE("event log: a revision larger than the log leaves a gap") {
  FakeStore store({.max_bytes = 1000, .history_bytes = 1000});
  EventLog::Batch batch;
  store.put("a", "1");
  store.apply({{"a", std::string(2000, 'x')}});
  store.apply({{"a", "3"}});
  store.publish();
  store.log.read(2, 9, 9, 99999, batch);
  CHECK(batch.revisions.empty());
  CHECK(batch.first == 4);
  CHECK(batch.head == 4);
  store.log.read(4, 9, 9, 99999, batch);
  CHECK(revisions(batch) == Revisions{4});
}

TEST_CASE("event log: what a reader does not want is passed over, until it is behind") {
  FakeStore store;
  FakeListener listener;
  EventLog::Reader reader(store.log, listener);
  reader.want({});
  reader.want_also("a");
  reader.set_active(true);
  EventLog::Batch batch;
  for (int i = 0; i < 5; ++i) store.put("b", "1");
  CHECK(listener.calls == 0);
  store.apply({{"b", "2"}, {"a", "2"}});
  store.put("b", "3");
  CHECK(listener.calls == 1);
  // It has not taken what it wants: from there on it gets everything.
  store.put("b", "4");
  CHECK(listener.calls == 1);
  store.log.take(reader, 2, 9, 99999, batch);
  CHECK(batch.from == 7);
  CHECK(revisions(batch) == Revisions{7, 8, 9});
  store.put("b", "5");
  store.log.take(reader, 10, 9, 99999, batch);
  CHECK((batch.from == 11 && batch.revisions.empty()));
  reader.want_all();
  store.put("b", "6");
  CHECK(listener.calls == 2);
  store.log.take(reader, 11, 9, 99999, batch);
  CHECK(revisions(batch) == Revisions{11});
  reader.want({});
  store.put("a", "7");
  CHECK(listener.calls == 2);
  store.log.reset(20);
  CHECK(listener.calls == 3);
}

TEST_CASE("key filter: what was added is found, few others are") {
  KeyFilter keys;
  CHECK_FALSE(keys.may_want(KeyFilter::hash("x")));
  for (int i = 0; i < 5000; ++i) keys.add("key/" + std::to_string(i));
  for (int i = 0; i < 5000; ++i) CHECK(keys.may_want(KeyFilter::hash("key/" + std::to_string(i))));
  int others = 0;
  for (int i = 0; i < 100'000; ++i) others += keys.may_want(KeyFilter::hash("other/" + std::to_string(i))) ? 1 : 0;
  CHECK(others < 500);
}

TEST_CASE("event log: readers in other threads see every revision once, in order") {
  FakeStore store({.max_bytes = 64 << 20, .history_bytes = 1000});
  struct Sleeper final : EventLog::Listener {
    std::mutex mutex;
    std::condition_variable changed;
    bool woken = false;
    void on_new_events() override {
      std::lock_guard lock(mutex);
      woken = true;
      changed.notify_one();
    }
    void wait() {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return woken; });
      woken = false;
    }
  };
  constexpr std::int64_t kLast = 5001;
  Sleeper sleepers[2];
  EventLog::Reader readers[2] = {{store.log, sleepers[0]}, {store.log, sleepers[1]}};
  for (auto& reader : readers) reader.set_active(true);
  std::atomic<int> wrong{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      EventLog::Batch batch;
      std::int64_t next = 2;
      while (next <= kLast) {
        store.log.take(readers[t], next, 100, 4096, batch);
        for (const RevisionEvents& events : batch.revisions) {
          if (events.revision() != next++ || events[0].key != "key") ++wrong;
        }
        if (batch.revisions.empty()) sleepers[t].wait();
      }
    });
  }
  for (std::int64_t revision = 2; revision <= kLast; ++revision) {
    store.apply({{"key", std::to_string(revision)}});
    if (revision % 7 == 0 || revision == kLast) store.publish();
  }
  threads.clear();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace etcdpp::mvcc
