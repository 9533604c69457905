#include <etcdpp/mvcc/watch_hub.h>

#include <set>

#include "watch_testing.h"

namespace etcdpp::mvcc {
namespace {

using namespace std::chrono_literals;

/// A hub over a fake store, and a clock moved by hand.
struct Hub {
  explicit Hub(const EventLogOptions& log = {}, WatchHubOptions options = {}, std::uint64_t seed = 1)
      : store(log), hub(options, store.log, listener, store, base::Random(seed)) {}
  FakeStore store;
  FakeListener listener;
  WatchHub hub;
  base::Instant now{};

  void run() {
    for (;;) {
      const bool more = hub.step(now);
      if (!store.requests.empty()) hub.on_history(store.answer());
      else if (!more) return;
    }
  }
};

std::vector<std::int64_t> revisions(const SeenResponse& response) {
  std::vector<std::int64_t> all;
  for (const SeenEvent& event : response.events) all.push_back(event.revision);
  return all;
}
using Revisions = std::vector<std::int64_t>;

TEST_CASE("watch hub: created, then events of later revisions, then canceled") {
  Hub h;
  FakeSink sink;
  auto& stream = h.hub.open(sink, h.now);
  h.store.put("a", "0");
  h.hub.create(stream, {.range = KeyRange::of("a", "c")});
  h.store.put("b", "1");
  h.store.put("c", "2");
  h.run();
  h.store.apply({{"b", std::nullopt}, {"a", "3"}, {"d", "4"}});
  h.store.publish();
  h.run();
  h.hub.cancel(stream, 7);
  h.hub.cancel(stream, 0);
  h.store.put("a", "5");
  h.run();
  const auto seen = sink.take();
  REQUIRE(seen.size() == 4);
  CHECK((seen[0].created && seen[0].id == 0 && seen[0].revision == 2 && seen[0].events.empty()));
  CHECK(revisions(seen[1]) == Revisions{3});
  CHECK(seen[1].revision == 3);
  CHECK(seen[2].events == std::vector<SeenEvent>{{5, true, "b", "", "", false}, {5, false, "a", "3", "", false}});
  CHECK(seen[2].revision == 5);
  CHECK((seen[3].canceled && !seen[3].created && seen[3].id == 0 && seen[3].revision == 5 && seen[3].reason.empty()));
  CHECK(h.hub.watchers() == 0);
}

TEST_CASE("watch hub: what was passed over is there for a watcher that starts in it") {
  Hub h;
  FakeSink sink;
  auto& stream = h.hub.open(sink, h.now);
  h.hub.create(stream, {.range = KeyRange::single("other")});
  h.run();
  for (int i = 2; i <= 6; ++i) h.store.put("a", std::to_string(i));
  CHECK(h.listener.calls == 0);
  CHECK(h.hub.cursor() == 1);
  h.hub.create(stream, {.range = KeyRange::single("a"), .start_revision = 4});
  h.run();
  h.hub.create(stream, {.range = KeyRange::single("a")});
  h.store.put("a", "7");
  CHECK(h.listener.calls == 1);
  h.run();
  const auto seen = sink.take();
  REQUIRE(seen.size() == 6);
  CHECK(revisions(seen[2]) == Revisions{4, 5, 6});
  CHECK(revisions(seen[4]) == Revisions{7});
  CHECK(revisions(seen[5]) == Revisions{7});
}

TEST_CASE("watch hub: a put before the watch is not delivered, even if the hub had not seen it yet") {
  Hub h;
  FakeSink sink;
  auto& stream = h.hub.open(sink, h.now);
  h.hub.create(stream, {.range = KeyRange::single("other")});
  h.store.put("a", "1");
  h.hub.create(stream, {.range = KeyRange::single("a")});
  h.store.put("a", "2");
  h.run();
  const auto seen = sink.take();
  REQUIRE(seen.size() == 3);
  CHECK(seen[1].revision == 2);
  CHECK(revisions(seen[2]) == Revisions{3});
}

TEST_CASE("watch hub: ids are the smallest free ones, chosen ones are taken as they are, doubles are refused") {
  Hub h;
  FakeSink sink;
  auto& stream = h.hub.open(sink, h.now);
  const auto create = [&](WatchId id) {
    h.hub.create(stream, {.id = id, .range = KeyRange::single("k")});
    const auto seen = sink.take();
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].created);
    return seen[0].canceled ? seen[0].reason : std::to_string(seen[0].id);
  };
  CHECK(create(1) == "1");
  CHECK(create(0) == "0");
  CHECK(create(0) == "2");
  CHECK(create(-1) == "-1");
  CHECK(create(2) == "mvcc: duplicate watch ID provided on the WatchStream");
  h.hub.cancel(stream, 0);
  sink.take();
  CHECK(create(0) == "3");
  h.hub.create(stream, {.range = KeyRange::interval("b", "b")});
  h.hub.create(stream, {.range = KeyRange::single("b"), .start_revision = -1});
  h.hub.reject(stream, "no");
  const auto seen = sink.take();
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].reason == "mvcc: watcher range is empty");
  CHECK(seen[1].reason == "etcdserver: mvcc: required revision has been compacted");
  CHECK(seen[1].compact_revision == 0);
  for (const auto& r : seen) CHECK((r.created && r.canceled && r.id == -1 && r.revision == 1));
}

TEST_CASE("watch hub: start in the past, now, in the future, compacted") {
  Hub h;
  for (int i = 2; i <= 9; ++i) h.store.put("k", std::to_string(i));
  h.store.compacted = 5;
  FakeSink sink;
  auto& stream = h.hub.open(sink, h.now);
  const auto watch = [&](std::int64_t start) {
    h.hub.create(stream, {.range = KeyRange::single("k"), .start_revision = start});
    h.run();
    return sink.take();
  };
  auto seen = watch(4);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].created);
  CHECK((seen[1].canceled && seen[1].compact_revision == 5 && seen[1].revision == 0 && seen[1].reason.empty()));
  CHECK(h.hub.watchers() == 0);
  // Its id is free when the client has canceled it as well.
  const auto again = [&] {
    h.hub.create(stream, {.id = seen[0].id == 0 ? 50 : seen[0].id, .range = KeyRange::single("k"), .start_revision = 4});
    h.run();
    return sink.take();
  };
  CHECK(again().size() == 2);
  auto refused = again();
  REQUIRE(refused.size() == 1);
  CHECK((refused[0].created && refused[0].canceled && refused[0].id == kNoWatchId));
  h.hub.cancel(stream, 50);
  h.hub.cancel(stream, 50);
  refused = sink.take();
  REQUIRE(refused.size() == 1);
  CHECK((refused[0].canceled && refused[0].id == 50 && refused[0].compact_revision == 0 && refused[0].revision == 9));
  seen = watch(5);
  REQUIRE(seen.size() == 2);
  CHECK(revisions(seen[1]) == Revisions{5, 6, 7, 8, 9});
  CHECK(seen[1].revision == 9);
  CHECK(watch(9).size() == 2);
  CHECK(watch(10).size() == 1);
  CHECK(watch(0).size() == 1);
  CHECK(watch(12).size() == 1);
  h.store.put("k", "10");
  h.store.put("k", "11");
  h.run();
  CHECK(sink.take().size() == 4);
  h.store.put("k", "12");
  h.run();
  CHECK(sink.take().size() == 5);
}

TEST_CASE("watch hub: filters, previous values, and nothing is sent when nothing is left") {
  Hub h;
  FakeSink sink;
  auto& stream = h.hub.open(sink, h.now);
  h.hub.create(stream, {.range = KeyRange::single("k"), .prev_kv = true});
  h.hub.create(stream, {.range = KeyRange::single("k"), .no_put = true});
  h.hub.create(stream, {.range = KeyRange::single("k"), .no_put = true, .no_delete = true});
  h.hub.create(stream, {.range = KeyRange::single("k"), .no_delete = true});
  sink.take();
  h.store.put("k", "1");
  h.store.put("k", "2");
  h.store.apply({{"k", std::nullopt}});
  h.store.publish();
  h.run();
  const auto seen = sink.take();
  REQUIRE(seen.size() == 3);
  for (const auto& response : seen) {
    if (response.id == 0) {
      CHECK(response.events == std::vector<SeenEvent>{{2, false, "k", "1", "", false}, {3, false, "k", "2", "1", true}, {4, true, "k", "", "2", true}});
    }
    if (response.id == 1) CHECK(revisions(response) == Revisions{4});
    CHECK(response.id != 2);
    if (response.id == 3) CHECK(revisions(response) == Revisions{2, 3});
  }
}

TEST_CASE("watch hub: a full stream falls behind alone and misses nothing") {
  Hub h;
  FakeSink slow, fast;
  slow.responses_taken = 2;
  auto& slow_stream = h.hub.open(slow, h.now);
  auto& fast_stream = h.hub.open(fast, h.now);
  h.hub.create(slow_stream, {.range = KeyRange::single("k")});
  h.hub.create(fast_stream, {.range = KeyRange::single("k")});
  for (int i = 0; i < 10; ++i) {
    h.store.put("k", std::to_string(i));
    h.run();
  }
  CHECK(fast.responses.size() == 11);
  CHECK(slow.responses.size() == 3);
  CHECK(h.hub.lagging() == 1);
  slow.waiting = 0;
  h.hub.on_room(slow_stream);
  h.run();
  REQUIRE(slow.responses.size() == 4);
  CHECK(revisions(slow.responses[3]) == Revisions{4, 5, 6, 7, 8, 9, 10, 11});
  CHECK(h.hub.lagging() == 0);
  // The stream goes while its watcher waits.
  slow.waiting = 2;
  h.store.put("k", "x");
  h.run();
  CHECK(h.hub.lagging() == 1);
  h.hub.close(slow_stream);
  CHECK(h.hub.watchers() == 1);
  h.run();
}

TEST_CASE("watch hub: behind the log the store is asked, and a stream that goes meanwhile is not missed") {
  Hub h({.max_bytes = 2000, .history_bytes = 500});
  h.store.history_revisions = 7;
  for (int i = 2; i <= 101; ++i) h.store.put("k", std::to_string(i));
  FakeSink a, b;
  auto& stream_a = h.hub.open(a, h.now);
  auto& stream_b = h.hub.open(b, h.now);
  h.hub.create(stream_a, {.range = KeyRange::single("k"), .start_revision = 2});
  h.hub.create(stream_b, {.range = KeyRange::single("k"), .start_revision = 50});
  h.hub.step(h.now);
  REQUIRE(h.store.requests.size() == 1);
  CHECK(h.store.requests[0].second == 2);
  h.hub.close(stream_b);
  h.store.put("k", "102");
  h.run();
  Revisions all;
  for (const auto& response : a.take()) {
    for (const auto& event : response.events) all.push_back(event.revision);
  }
  REQUIRE(all.size() == 101);
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i] == static_cast<std::int64_t>(i) + 2);
  CHECK(b.take().size() == 1);
  CHECK(h.hub.lagging() == 0);
}

TEST_CASE("watch hub: at most so many revisions a response, at most so many bytes") {
  WatchHubOptions options;
  options.revisions_per_batch = 3;
  Hub h({}, options);
  for (int i = 2; i <= 9; ++i) h.store.put("k", std::to_string(i));
  FakeSink sink;
  h.hub.create(h.hub.open(sink, h.now), {.range = KeyRange::single("k"), .start_revision = 2});
  h.run();
  auto seen = sink.take();
  REQUIRE(seen.size() == 4);
  CHECK(revisions(seen[1]) == Revisions{2, 3, 4});
  CHECK(seen[1].revision == 9);
  CHECK(revisions(seen[3]) == Revisions{8, 9});

  options = {};
  options.bytes_per_batch = 300;
  Hub bytes({}, options);
  for (int i = 2; i <= 9; ++i) bytes.store.put("k", std::string(90, 'x'));
  bytes.hub.create(bytes.hub.open(sink, bytes.now), {.range = KeyRange::single("k"), .start_revision = 2});
  bytes.run();
  seen = sink.take();
  CHECK(seen.size() == 4);
  for (const auto& response : seen) CHECK(response.events.size() <= 4);
}

TEST_CASE("watch hub: progress on request only when all watchers are where the store is") {
  Hub h;
  FakeSink sink;
  auto& stream = h.hub.open(sink, h.now);
  const auto progress = [&] {
    h.hub.request_progress(stream);
    return sink.take();
  };
  CHECK(progress().empty());
  h.hub.create(stream, {.range = KeyRange::single("k")});
  sink.take();
  h.store.put("x", "1");
  auto seen = progress();
  REQUIRE(seen.size() == 1);
  CHECK((seen[0].id == -1 && seen[0].revision == 2 && seen[0].events.empty() && !seen[0].created));
  h.store.put("k", "2");
  seen = progress();  // the event first
  REQUIRE(seen.size() == 2);
  CHECK(revisions(seen[0]) == Revisions{3});
  CHECK(seen[1].revision == 3);
  h.hub.create(stream, {.range = KeyRange::single("k"), .start_revision = 4});
  sink.take();
  CHECK(progress().empty());
  h.store.put("x", "3");
  CHECK(progress().size() == 1);
  sink.responses_taken = 0;
  h.store.put("k", "4");
  CHECK(progress().empty());
  sink.responses_taken = 100;
  h.hub.on_room(stream);
  CHECK(progress().empty());
  h.run();
  CHECK(sink.take().size() == 2);
  CHECK(progress().size() == 1);
}

TEST_CASE("watch hub: progress by time for quiet watchers that want it, with jitter") {
  WatchHubOptions options;
  options.progress_interval = 10s;
  Hub h({}, options);
  FakeSink sink;
  auto& stream = h.hub.open(sink, h.now);
  h.hub.create(stream, {.id = 1, .range = KeyRange::single("a"), .progress_notify = true});
  h.hub.create(stream, {.id = 2, .range = KeyRange::single("b"), .progress_notify = true});
  h.hub.create(stream, {.id = 3, .range = KeyRange::single("c")});
  sink.take();
  h.store.put("a", "1");
  h.run();
  sink.take();
  REQUIRE(h.hub.next_progress());
  const base::Duration interval = h.hub.next_progress()->time_since_epoch();
  CHECK(interval >= 10s);
  CHECK(interval <= 11s);
  h.now += interval - 1ms;
  h.run();
  CHECK(sink.take().empty());
  h.now += 1ms;
  h.run();
  auto seen = sink.take();
  REQUIRE(seen.size() == 1);
  CHECK((seen[0].id == 2 && seen[0].revision == 2 && seen[0].events.empty()));
  h.now += interval;
  h.run();
  CHECK(sink.take().size() == 2);
  h.hub.close(stream);
  CHECK_FALSE(h.hub.next_progress());
}

TEST_CASE("watch hub: a store that was replaced is read again from where each watcher stands") {
  Hub h;
  FakeSink sink;
  auto& stream = h.hub.open(sink, h.now);
  h.hub.create(stream, {.range = KeyRange::single("k")});
  h.store.put("k", "1");
  h.run();
  // A received snapshot: revisions 3 to 5 are in the new store, not in the log.
  for (int i = 0; i < 3; ++i) h.store.apply({{"k", "s"}});
  h.store.log.reset(h.store.revision());
  h.run();
  h.store.put("k", "6");
  h.run();
  Revisions all;
  for (const auto& response : sink.take()) {
    for (const auto& event : response.events) all.push_back(event.revision);
  }
  CHECK(all == Revisions{2, 3, 4, 5, 6});
}

TEST_CASE("watch hub: without watchers the log is not followed and nobody is woken") {
  Hub h;
  for (int i = 0; i < 10; ++i) h.store.put("k", "v");
  CHECK(h.listener.calls == 0);
  CHECK_FALSE(h.hub.step(h.now));
  FakeSink sink;
  auto& stream = h.hub.open(sink, h.now);
  h.hub.create(stream, {.range = KeyRange::single("k")});
  h.store.put("k", "v");
  h.store.put("k", "v");
  CHECK(h.listener.calls == 1);
  h.run();
  CHECK(sink.take().size() == 2);
}

TEST_CASE("fragments: cut greedily at the limit, never an empty piece") {
  using Ends = std::vector<std::size_t>;
  CHECK(fragment_ends(std::vector<std::size_t>{50, 50}, 10, 200) == Ends{2});
  CHECK(fragment_ends(std::vector<std::size_t>{500}, 10, 200) == Ends{1});
  CHECK(fragment_ends(std::vector<std::size_t>{90, 90, 90}, 10, 200) == Ends{2, 3});   // 10+2+180 < 200
  CHECK(fragment_ends(std::vector<std::size_t>{94, 94, 94}, 10, 200) == Ends{1, 2, 3});  // 200 is not below the limit
  CHECK(fragment_ends(std::vector<std::size_t>{10, 500, 10, 10}, 10, 200) == Ends{1, 2, 4});
}

/// What one watcher should get and has got.
struct Expectation {
  WatchId id;
  std::string begin, end;
  int kind;
  bool prev_kv, no_put, no_delete;
  std::int64_t from;
  std::size_t taken = 0;  // of the events that it should get
  std::int64_t last = 0;
  bool over = false;
  bool compacted = false;  // over, but not canceled by the client yet

  KeyRange range() const {
    return kind == 0 ? KeyRange::single(begin) : kind == 1 ? KeyRange::interval(begin, end) : KeyRange::from(begin);
  }
  /// All events up to `to`, whole revisions only.
  std::vector<SeenEvent> due(const FakeStore& store, std::int64_t to) const {
    std::vector<SeenEvent> events;
    for (auto at = store.history.lower_bound(from); at != store.history.end() && at->first <= to; ++at) {
      for (const auto& change : at->second) {
        if (!range().contains(change.key) || (change.tombstone ? no_delete : no_put)) continue;
        events.push_back({at->first, change.tombstone, change.key, change.value, "", false});
      }
    }
    return events;
  }
};

TEST_CASE("watch hub: random watchers, writes, compactions and slow clients agree with a model") {
  std::size_t delivered = 0, from_store = 0, compactions_seen = 0, progress_seen = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    base::Random random(seed);
    WatchHubOptions options;
    options.progress_interval = 5s;
    options.revisions_per_batch = 1 + random.below(8);
    options.revisions_per_round = 1 + random.below(30);
    options.watchers_per_round = 1 + random.below(6);
    options.bytes_per_batch = 100 + random.below(2000);
    Hub h({.max_bytes = 400 + random.below(6000), .history_bytes = random.below(3000)}, options, seed);
    h.store.history_revisions = 1 + random.below(6);
    std::optional<HistoryBatch> read;  // by the store's thread, on its way to the hub
    struct Client {
      FakeSink sink;
      WatchHub::Stream* stream;
      std::map<WatchId, Expectation> watchers;
    };
    std::vector<std::unique_ptr<Client>> clients;
    const auto key = [&] { return std::string(1, static_cast<char>('a' + random.below(6))); };

    const auto check = [&](Client& client) {
      for (const SeenResponse& response : client.sink.take()) {
        if (response.created) {
          REQUIRE_FALSE(response.canceled);
          continue;
        }
        if (response.id == kNoWatchId) {
          // Progress for all: every event up to there was sent before.
          ++progress_seen;
          for (auto& [id, watcher] : client.watchers) {
            if (!watcher.over) REQUIRE(watcher.taken == watcher.due(h.store, response.revision).size());
          }
          continue;
        }
        Expectation& watcher = client.watchers.at(response.id);
        if (watcher.over) {
          // Ended by a compaction, and then by the client: once more, and nothing else.
          REQUIRE(response.canceled);
          REQUIRE(response.compact_revision == 0);
          REQUIRE(std::exchange(watcher.compacted, false));
          continue;
        }
        if (response.canceled) {
          watcher.over = true;
          watcher.compacted = response.compact_revision != 0;
          if (response.compact_revision != 0) {
            ++compactions_seen;
            REQUIRE(response.revision == 0);
            // It had something left below the compact revision.
            REQUIRE(std::max(watcher.last + 1, watcher.from) < response.compact_revision);
          }
          continue;
        }
        if (response.events.empty()) {
          ++progress_seen;
          REQUIRE(watcher.taken == watcher.due(h.store, response.revision).size());
          continue;
        }
        delivered += response.events.size();
        REQUIRE(response.events.front().revision > watcher.last);
        watcher.last = response.events.back().revision;
        REQUIRE(response.revision >= watcher.last);
        const auto due = watcher.due(h.store, watcher.last);
        REQUIRE(due.size() == watcher.taken + response.events.size());
        for (std::size_t i = 0; i < response.events.size(); ++i) {
          SeenEvent seen = response.events[i];
          const SeenEvent& wanted = due[watcher.taken + i];
          const auto& before = h.store.state(seen.revision - 1);
          if (seen.has_previous) {
            REQUIRE(watcher.prev_kv);
            REQUIRE(before.at(seen.key) == seen.previous);
          } else if (watcher.prev_kv && before.contains(seen.key)) {
            REQUIRE(seen.revision - 1 < h.store.compacted);
          }
          seen.previous.clear();
          seen.has_previous = false;
          REQUIRE(seen == wanted);
        }
        watcher.taken = due.size();
      }
    };

    for (int step = 0; step < 400; ++step) {
      switch (random.below(13)) {
        case 0: {
          if (clients.size() >= 5) break;
          auto client = std::make_unique<Client>();
          if (random.one_in(3)) client->sink.bytes_taken = 1 + random.below(300);
          client->sink.responses_taken = random.one_in(3) ? 1 + random.below(3) : SIZE_MAX;
          client->stream = &h.hub.open(client->sink, h.now);
          clients.push_back(std::move(client));
          break;
        }
        case 1:
        case 2: {
          if (clients.empty()) break;
          Client& client = *clients[random.below(clients.size())];
          Expectation watcher{.id = static_cast<WatchId>(client.watchers.size()) + 1,
                              .begin = key(),
                              .end = key(),
                              .kind = static_cast<int>(random.below(3)),
                              .prev_kv = random.one_in(3),
                              .no_put = random.one_in(5),
                              .no_delete = random.one_in(5),
                              .from = 0};
          if (watcher.kind == 1 && watcher.end <= watcher.begin) watcher.end = watcher.begin + "z";
          std::int64_t start = 0;
          if (random.one_in(2)) start = std::max<std::int64_t>(1, h.store.log.head() + 4 - static_cast<std::int64_t>(random.below(40)));
          watcher.from = start == 0 ? h.store.log.head() + 1 : start;
          client.watchers.emplace(watcher.id, watcher);
          h.hub.create(*client.stream, {.id = watcher.id,
                                        .range = watcher.range(),
                                        .start_revision = start,
                                        .prev_kv = watcher.prev_kv,
                                        .no_put = watcher.no_put,
                                        .no_delete = watcher.no_delete,
                                        .progress_notify = random.one_in(2)});
          break;
        }
        case 3: {
          if (clients.empty() || !random.one_in(4)) break;
          Client& client = *clients[random.below(clients.size())];
          if (client.watchers.empty()) break;
          auto at = client.watchers.begin();
          std::advance(at, random.below(client.watchers.size()));
          check(client);
          h.hub.cancel(*client.stream, at->first);
          check(client);
          REQUIRE(at->second.over);
          REQUIRE_FALSE(at->second.compacted);
          break;
        }
        case 4: {
          if (clients.empty() || !random.one_in(10)) break;
          const auto at = clients.begin() + static_cast<std::ptrdiff_t>(random.below(clients.size()));
          h.hub.close(*(*at)->stream);
          clients.erase(at);
          break;
        }
        case 5:
        case 6:
        case 7:
        case 8: {
          std::vector<std::pair<std::string, std::optional<std::string>>> changes;
          for (std::uint64_t n = 1 + random.below(4); n > 0; --n) {
            const std::string k = key();
            if (std::any_of(changes.begin(), changes.end(), [&](const auto& c) { return c.first == k; })) continue;
            changes.emplace_back(k, random.one_in(4) ? std::nullopt : std::optional(std::string(random.below(60), 'v') + std::to_string(step)));
          }
          h.store.apply(changes);
          if (!random.one_in(3)) h.store.publish();
          break;
        }
        case 9:
          if (random.one_in(6)) h.store.compacted = std::max(h.store.compacted, h.store.log.head() - static_cast<std::int64_t>(random.below(10)));
          break;
        case 10:
          if (clients.empty()) break;
          h.hub.request_progress(*clients[random.below(clients.size())]->stream);
          break;
        case 11:
          h.now += std::chrono::milliseconds(random.below(3000));
          break;
        case 12:
          if (random.one_in(40)) h.store.log.reset(h.store.revision());
          break;
      }
      if (random.one_in(2)) h.hub.step(h.now);
      if (read && random.one_in(3)) {
        h.hub.on_history(std::move(*read));
        read.reset();
      } else if (!read && !h.store.requests.empty() && random.one_in(3)) {
        ++from_store;
        read = h.store.answer();
      }
      for (auto& client : clients) {
        check(*client);
        if (client->sink.waiting > 0 && random.one_in(3)) {
          client->sink.waiting = 0;
          h.hub.on_room(*client->stream);
        }
      }
    }
    // In the end everybody reads, and has everything that was due, or was told what is gone.
    h.store.publish();
    if (read) h.hub.on_history(std::move(*read));
    for (auto& client : clients) {
      client->sink.responses_taken = SIZE_MAX;
      h.hub.on_room(*client->stream);
    }
    h.run();
    CHECK(h.hub.lagging() == 0);
    for (auto& client : clients) {
      check(*client);
      for (auto& [id, watcher] : client->watchers) {
        if (!watcher.over) CHECK(watcher.taken == watcher.due(h.store, h.store.revision()).size());
      }
    }
  }
  // The model has met every kind of thing.
  CHECK(delivered > 10'000);
  CHECK(from_store > 500);
  CHECK(compactions_seen > 50);
  CHECK(progress_seen > 500);
}

}  // namespace
}  // namespace etcdpp::mvcc
