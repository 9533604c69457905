// etcdpp_store_schedules: readers, apply, commit, compaction, hashes and defragmentation in ten thousand orders; README.md.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <latch>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <etcdpp/backend/backend.h>
#include <etcdpp/base/clock.h>
#include <etcdpp/base/crc32c.h>
#include <etcdpp/mvcc/history_reader.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/store.h>

#include "fibers.h"
#include "support/campaign.h"
#include "support/database_options.h"

namespace {

using namespace etcdpp;
using store_test::Fibers;

/// What apply did, for whoever judges afterwards.
struct Row {
  std::int64_t main = 0, sub = 0;
  std::string key;
  std::string encoded;  // empty: a tombstone
};

/// What a reader was told.
struct Seen {
  enum class What { kRange, kHash, kHistory } what = What::kRange;
  std::int64_t asked = 0;
  std::int64_t revision = 0;
  std::int64_t current = 0;
  std::int64_t published_before = 0;
  std::int64_t compact_revision = 0;
  std::int64_t count = 0;
  std::uint32_t hash = 0;
  bool compacted = false;
  std::string error;
  std::vector<std::pair<std::string, std::string>> rows;
  std::vector<std::int64_t> revisions;
};

/// How the six run beside each other.
struct Mode {
  bool threads = false;
  std::uint64_t one_in = 0;  // points that are switches; 0: another one each schedule
};

class Scenario {
 public:
  Scenario(const std::string& directory, Mode mode) : mode_(mode) {
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
    backend::Options options = test::database_options(directory, clock_);
    options.map_size = 3 << 20;
    options.deletion_rows = 3;
    options.deletion_pause = {};
    options.batch_limit = 6;
    auto opened = backend::Backend::open(options);
    if (!opened) std::abort();
    backend_ = std::move(*opened);
    store_ = std::make_unique<mvcc::Store>(*backend_, nullptr, nullptr);
    if (!store_->restore(0)) std::abort();
    backend_->commit_loop().set_deletion_source(&store_->compaction());
    backend_->commit_loop().set_copy_pace({.slice_bytes = 300, .pause = {}, .log_is_slow = {}, .longest_pause = {}});
  }

  bool run(std::uint64_t seed) {
    base::Random random(seed);
    static constexpr std::uint64_t kRates[] = {1, 2, 5, 20};
    static constexpr std::uint64_t kSleeps[] = {0, 30, 100, 300};
    const std::uint64_t fibers_seed = random.next(), rate = kRates[random.below(4)], sleeps = kSleeps[random.below(4)];
    apply_is_over_ = false;
    seen_.assign(4, {});
    std::uint64_t seeds[6];
    for (auto& s : seeds) s = random.next();
    const std::pair<const char*, std::function<void()>> bodies[] = {
        {"apply", [&] { apply(seeds[0]); }},
        {"commit", [&] { commit(seeds[1]); }},
        {"reader", [&] { read(seeds[2], seen_[0]); }},
        {"reader", [&] { read(seeds[3], seen_[1]); }},
        {"slices", [&] { read_in_slices(seeds[4], seen_[2]); }},
        {"scrub", [&] { scrub(seeds[5], seen_[3]); }},
    };
    if (mode_.threads) {
      std::vector<std::jthread> threads;
      for (const auto& [name, body] : bodies) threads.emplace_back(body);
    } else {
      Fibers fibers(fibers_seed, mode_.one_in ? mode_.one_in : rate, sleeps);
      for (const auto& [name, body] : bodies) fibers.add(name, body);
      fibers.run();
      points_ += fibers.points();
      switches_ += fibers.switches();
    }
    if (!failure_.empty()) return false;
    return judge();
  }

  const std::string& failure() const { return failure_; }
  std::uint64_t points() const { return points_; }
  std::uint64_t switches() const { return switches_; }
  std::uint64_t answers() const { return answers_; }
  std::uint64_t refused() const { return refused_; }

 private:
  // --- the fibers ---------------------------------------------------------------------------------------------------

  void apply(std::uint64_t seed) {
    base::Random random(seed);
    for (auto batches = 2 + random.below(5); batches > 0; --batches) {
      for (auto entries = 1 + random.below(3); entries > 0; --entries) {
        while (backend_->saturated()) Fibers::wait();
        ++index_;
        if (random.one_in(6) && store_->revision() > 4) {
          const auto to = store_->revision() - static_cast<std::int64_t>(random.below(6));
          if (store_->compact(to, index_)) compactions_.emplace_back(store_->revision(), to);
        } else {
          write(random);
        }
        backend_->buffer().set_applied(index_, 1);
        backend_->freeze_if_due(clock_.now());
      }
      if (random.one_in(2)) backend_->freeze();
      store_->step_compaction(1 + random.below(4));
      store_->publish(index_);
    }
    while (!store_->compaction().idle()) {
      backend_->freeze();
      store_->step_compaction(1 + random.below(4));
      store_->publish(index_);
      Fibers::point();
    }
    backend_->freeze();
    store_->publish(index_);
    apply_is_over_ = true;
  }

  void write(base::Random& random) {
    mvcc::WriteTxn txn(*store_);
    const std::int64_t main = txn.begin_revision() + 1;
    std::int64_t sub = 0;
    // Always the same two together: a torn transaction shows.
    const bool erases = random.one_in(4);
    const std::string pair = std::to_string(random.below(4));
    for (const char* half : {"a", "b"}) {
      const std::string key = half + pair;
      if (erases) {
        if (txn.delete_range(mvcc::KeyRange::single(key)) == 1) rows_.push_back({main, sub++, key, {}});
        continue;
      }
      const std::string value = std::to_string(main) + std::string(random.one_in(9) ? 2500 : random.below(40), '.');
      txn.put(key, value, 0);
      rows_.push_back({main, sub++, key, value});
    }
    txn.end();
  }

  void commit(std::uint64_t seed) {
    base::Random random(seed);
    for (bool asked = false;;) {
      if (!asked && random.one_in(10)) {
        asked = true;
        backend_->defragment([this](base::Result<backend::Defragmented> done) {
          if (!done) failure_ = "defragmentation: " + done.error().message();
        });
      }
      const bool over = apply_is_over_;
      auto worked = backend_->commit_loop().step();
      if (!worked) {
        std::fprintf(stderr, "commit: %s\n", worked.error().message().c_str());
        std::abort();  // the others would wait for ever
      }
      if (over && !*worked && !backend_->defragment_progress()) return;
      if (!*worked) Fibers::wait();
    }
  }

  void read(std::uint64_t seed, std::vector<Seen>& out) {
    base::Random random(seed);
    for (auto times = 2 + random.below(4); times > 0; --times) {
      Seen seen;
      seen.published_before = store_->views().revision();
      const auto reader = mvcc::RangeReader::open(store_->views());
      if (!reader) {
        seen.error = reader.error().message();
        out.push_back(std::move(seen));
        continue;
      }
      seen.asked = random.one_in(2) ? 0 : std::max<std::int64_t>(1, reader->view().revision - static_cast<std::int64_t>(random.below(12)));
      std::vector<mvcc::RangeRow> rows;
      const auto answer = reader->range(mvcc::KeyRange::all(), {.revision = seen.asked}, rows);
      take(answer, rows, seen);
      if (answer) seen.count = reader->view().index.count(mvcc::KeyRange::all(), answer->revision);
      // A View is there a moment before the number beside it.
      seen.compact_revision = std::max(reader->view().compact_revision, store_->views().compact_revision());
      out.push_back(std::move(seen));
    }
  }

  void read_in_slices(std::uint64_t seed, std::vector<Seen>& out) {
    base::Random random(seed);
    Seen seen;
    seen.published_before = store_->views().revision();
    mvcc::RangeCursor cursor(mvcc::KeyRange::all(), {}, mvcc::RangeCursor::Hold::kPin);
    {
      auto reader = mvcc::RangeReader::open(store_->views());
      const auto started = reader ? cursor.start(store_->views(), *reader) : base::Result<mvcc::RangeAnswer>(reader.error());
      if (!started) seen.error = started.error().message();
    }
    while (seen.error.empty() && !cursor.done()) {
      const auto reader = mvcc::RangeReader::open(store_->views());
      std::vector<mvcc::RangeRow> rows;
      const auto got = reader ? cursor.next(*reader, 1 + random.below(3), 1 << 20, rows) : base::Result<>(reader.error());
      if (!got) seen.error = got.error().message();
      for (const auto& row : rows) keep(row, seen);
    }
    seen.revision = cursor.answer().revision;
    seen.current = cursor.answer().current_revision;
    seen.count = cursor.answer().count;
    out.push_back(std::move(seen));
  }

  void scrub(std::uint64_t seed, std::vector<Seen>& out) {
    base::Random random(seed);
    for (int times = 0; times < 2; ++times) {
      Seen seen;
      seen.published_before = store_->views().revision();
      if (random.one_in(2)) {
        seen.what = Seen::What::kHash;
        mvcc::HashKv hash(store_->views(), store_->hashes(), 0);
        auto done = hash.start();
        while (done && !*done) done = hash.step(1 + random.below(8));
        if (!done) seen.error = done.error().message();
        seen.hash = hash.result().hash;
        seen.revision = hash.result().revision;
        seen.compact_revision = hash.result().compact_revision;
        seen.current = hash.current_revision();
      } else {
        seen.what = Seen::What::kHistory;
        seen.asked = std::max<std::int64_t>(2, seen.published_before - static_cast<std::int64_t>(random.below(8)));
        const auto history = mvcc::read_history(store_->views(), seen.asked);
        if (history) {
          for (const auto& events : history->revisions) seen.revisions.push_back(events.revision());
          seen.current = history->current_revision;
        } else {
          seen.compacted = history.error().code == make_error_code(mvcc::Errc::kCompacted);
          if (!seen.compacted) seen.error = history.error().message();
        }
        seen.compact_revision = std::max(store_->views().current()->compact_revision, store_->views().compact_revision());
      }
      out.push_back(std::move(seen));
    }
  }

  static void keep(const mvcc::RangeRow& row, Seen& seen) {
    const auto kv = mvcc::decode_key_value(row.key_value);
    if (!kv || kv->key != row.state.key || kv->mod_revision != row.state.modified.main) seen.error = "a row of another key or revision";
    else seen.rows.emplace_back(kv->key, kv->value);
  }
  template <typename Answer>
  static void take(const Answer& answer, const std::vector<mvcc::RangeRow>& rows, Seen& seen) {
    if (!answer) {
      seen.compacted = answer.error().code == make_error_code(mvcc::Errc::kCompacted);
      if (!seen.compacted) seen.error = answer.error().message();
      return;
    }
    seen.revision = answer->revision;
    seen.current = answer->current_revision;
    for (const auto& row : rows) keep(row, seen);
  }

  // --- afterwards ---------------------------------------------------------------------------------------------------

  bool judge() {
    for (const auto& fiber : seen_) {
      std::int64_t current = 0;
      for (const Seen& seen : fiber) {
        ++answers_;
        if (!seen.error.empty()) return fail(seen, seen.error);
        if (seen.compacted) {
          ++refused_;
          if (seen.asked >= seen.compact_revision) return fail(seen, "refused as compacted");
          continue;
        }
        if (seen.current < seen.published_before) return fail(seen, "older than what had been published");
        if (seen.current < current) return fail(seen, "older than what the same one had seen");
        current = seen.current;
        if (!judge(seen)) return false;
      }
    }
    // What is left is what the compactions left.
    return true;
  }

  bool judge(const Seen& seen) {
    switch (seen.what) {
      case Seen::What::kRange: {
        const auto wanted = state_at(seen.revision);
        if (seen.rows != wanted) return fail(seen, std::to_string(seen.rows.size()) + " rows, not " + std::to_string(wanted.size()) + ", or others");
        if (seen.count != static_cast<std::int64_t>(wanted.size())) return fail(seen, "count " + std::to_string(seen.count));
        return true;
      }
      case Seen::What::kHash:
        return state_at(seen.revision).empty() || seen.hash == hash_at(seen.compact_revision, seen.revision) || fail(seen, "another hash");
      case Seen::What::kHistory: {
        std::vector<std::int64_t> wanted;
        for (const Row& row : rows_)
          if (row.main >= seen.asked && row.main <= seen.current && (wanted.empty() || wanted.back() != row.main)) wanted.push_back(row.main);
        return seen.revisions == wanted || fail(seen, std::to_string(seen.revisions.size()) + " revisions of " + std::to_string(wanted.size()));
      }
    }
    return false;
  }

  bool fail(const Seen& seen, const std::string& what) {
    static constexpr const char* kNames[] = {"range", "hash", "history"};
    failure_ = std::string(kNames[static_cast<int>(seen.what)]) + " at " + std::to_string(seen.revision) + " (asked " + std::to_string(seen.asked) + ", current " +
               std::to_string(seen.current) + ", compacted to " + std::to_string(seen.compact_revision) + "): " + what;
    return false;
  }

  std::vector<std::pair<std::string, std::string>> state_at(std::int64_t revision) const {
    std::map<std::string, std::string> state;
    for (const Row& row : rows_) {
      if (row.main > revision) break;
      if (row.encoded.empty()) state.erase(row.key);
      else state[row.key] = row.encoded;
    }
    return {state.begin(), state.end()};
  }

  std::uint32_t hash_at(std::int64_t compacted, std::int64_t revision) const {
    std::map<std::string, const Row*> newest;
    for (const Row& row : rows_)
      if (row.main <= revision) newest[row.key] = &row;
    std::map<std::string, std::pair<std::int64_t, std::int64_t>> lives;  // creation and version, as rows go by
    std::uint32_t crc = base::crc32c(0, "key");
    for (const Row& row : rows_) {
      if (row.main > revision) break;
      auto& [created, version] = lives[row.key];
      const bool tombstone = row.encoded.empty();
      if (tombstone) version = 0;
      else if (version++ == 0) created = row.main;
      if (row.main <= compacted && (newest[row.key] != &row || tombstone)) continue;
      base::Bytes encoded;
      if (tombstone) mvcc::append_encoded({.key = row.key, .value = {}}, encoded);
      else mvcc::append_encoded({.key = row.key, .create_revision = created, .mod_revision = row.main, .version = version, .value = row.encoded}, encoded);
      crc = base::crc32c(base::crc32c(crc, mvcc::RowKeyBytes({row.main, row.sub}, tombstone).view()), encoded);
    }
    return crc;
  }

  const Mode mode_;
  base::ManualClock clock_;
  std::unique_ptr<backend::Backend> backend_;
  std::unique_ptr<mvcc::Store> store_;
  std::uint64_t index_ = 0;

  // Apply's, looked at by others when all is over.
  std::vector<Row> rows_;
  std::vector<std::pair<std::int64_t, std::int64_t>> compactions_;
  std::atomic<bool> apply_is_over_{false};
  std::vector<std::vector<Seen>> seen_;
  std::string failure_;
  std::uint64_t points_ = 0, switches_ = 0, answers_ = 0, refused_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::uint64_t> arguments{{"--schedules", 10'000}, {"--from", 1}, {"--one-in", 0}, {"--threads", 0}};
  if (!test::read_numbers(argc, argv, arguments)) {
    std::fputs("usage: etcdpp_store_schedules [--schedules 10000] [--from 1] [--one-in 1 (points that are switches)]\n"
               "       etcdpp_store_schedules --threads 1 [--schedules 10000]      the same in threads, in whatever order they run\n", stderr);
    return 2;
  }
  const std::uint64_t schedules = arguments["--schedules"], from = arguments["--from"];
  const Mode mode{.threads = arguments["--threads"] != 0, .one_in = arguments["--one-in"]};
  // A process of one thread would let libstdc++ count references without atomics, also between fibers.
  std::latch over(1);
  std::jthread second([&] { over.wait(); });
  const struct AtEnd {
    std::latch& latch;
    ~AtEnd() { latch.count_down(); }
  } at_end{over};
  const std::string home = test::campaign_home("schedules");
  // So many share a store: its history goes on from one to the next. They begin where a number says, so that each can be
  // seen again by itself.
  constexpr std::uint64_t kOfOneStore = 20;
  const auto begun = std::chrono::steady_clock::now();
  std::uint64_t done = 0, points = 0, switches = 0, answers = 0, refused = 0;
  bool fine = true;
  for (std::uint64_t first = from; first < from + schedules && fine; first += kOfOneStore) {
    Scenario scenario(home, mode);
    for (std::uint64_t seed = first; seed < std::min(first + kOfOneStore, from + schedules) && fine; ++seed, ++done) {
      if (scenario.run(seed)) continue;
      fine = false;
      std::printf("schedule %llu: %s\n  see it again: etcdpp_store_schedules --from %llu --schedules %llu\n", static_cast<unsigned long long>(seed),
                  scenario.failure().c_str(), static_cast<unsigned long long>(first), static_cast<unsigned long long>(seed - first + 1));
    }
    points += scenario.points();
    switches += scenario.switches();
    answers += scenario.answers();
    refused += scenario.refused();
  }
  std::filesystem::remove_all(home);
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  std::printf("%llu schedules in %.1f s: %llu points, %llu switches, %llu answers judged, %llu refused as compacted%s\n", static_cast<unsigned long long>(done), took,
              static_cast<unsigned long long>(points), static_cast<unsigned long long>(switches), static_cast<unsigned long long>(answers),
              static_cast<unsigned long long>(refused), fine ? "" : "; one went wrong");
  return fine ? 0 : 1;
}
