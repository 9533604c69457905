#include <etcdpp/backend/defragment.h>

#include <filesystem>
#include <optional>
#include <set>

#include <etcdpp/backend/page_reader.h>
#include <etcdpp/base/random.h>

#include "backend_testing.h"

namespace etcdpp::backend {

namespace {

/// Deletes the rows that it is told to.
class ListedRows final : public DeletionSource {
 public:
  std::set<std::string> wanted;

  bool pending(std::uint64_t) override { return !wanted.empty(); }
  base::Result<> delete_some(DeletionBatch& batch) override {
    marked_.clear();
    for (const std::string& key : wanted) {
      auto there = batch.seek(key);
      ETCDPP_TRY(there);
      if (*there && batch.key() == key) batch.erase();
      marked_.push_back(key);
      if (batch.exhausted()) break;
    }
    return {};
  }
  void deletions_committed() override {
    for (const std::string& key : marked_) wanted.erase(key);
  }
  void deletions_aborted() override {}

 private:
  std::vector<std::string> marked_;
};

std::map<Bucket, Rows> everything(const Backend& backend) {
  std::map<Bucket, Rows> all;
  for (const Bucket bucket : kBuckets) all[bucket] = rows_of(backend, bucket);
  return all;
}

struct Run {
  std::optional<base::Result<Defragmented>> outcome;
  DefragmentDone done() {
    return [this](base::Result<Defragmented> o) { outcome = std::move(o); };
  }
};

bool copy_is_there(const TestDirectory& directory) {
  return std::filesystem::exists(directory.database() + ".new") || std::filesystem::exists(directory.database() + ".new-lock");
}

void step(Backend& backend, base::ManualClock& clock) {
  auto worked = backend.commit_loop().step();
  if (!worked) FAIL(worked.error().message());
  clock.advance(std::chrono::milliseconds(20));
}

}  // namespace

TEST_CASE("defragment: the same rows in fewer pages, in use at once, there after a restart") {
  TestDirectory directory;
  base::ManualClock clock;
  std::map<Bucket, Rows> before;
  std::uint64_t live = 0;
  {
    auto backend = open_backend(test_options(directory, clock));
    ListedRows deletions;
    backend->commit_loop().set_deletion_source(&deletions);
    append(*backend, 1, 5000, 900);
    backend->buffer().put(Bucket::kAuthUsers, std::string(700, 'u'), "a long key");
    backend->buffer().put(Bucket::kMeta, "confState", "{}");
    commit_all(*backend);
    for (std::uint64_t i = 1; i <= 5000; ++i)
      if (i % 20 != 0) deletions.wanted.insert(row_key(i));
    while (!deletions.wanted.empty()) step(*backend, clock);
    before = everything(*backend);
    CHECK(before[Bucket::kKey].size() == 250);
    const Sizes old = backend->sizes();
    std::vector<std::uint64_t> generations;
    backend->commit_loop().set_listener({.on_commit = {}, .on_space = {}, .on_generation = [&](std::uint64_t g) { generations.push_back(g); }});

    const std::shared_ptr<const Database> reading = backend->database();
    const auto snapshot = reading->begin_read();
    REQUIRE(snapshot);
    Run first, second;
    CHECK_FALSE(backend->defragment_progress());
    backend->defragment(first.done());
    backend->defragment(second.done());  // joins it
    REQUIRE(backend->defragment_progress());
    for (int i = 0; i < 100 && !first.outcome; ++i) step(*backend, clock);
    REQUIRE(first.outcome);
    REQUIRE(second.outcome);
    REQUIRE(first.outcome->has_value());
    const Defragmented& done = **first.outcome;
    CHECK(done.generation == 2);
    CHECK(done.allocated_before == old.allocated);
    CHECK(done.allocated_after < old.allocated / 4);
    CHECK(done.rows == 254);  // with user, conf state, consistent index and term
    CHECK(generations == std::vector<std::uint64_t>{2});
    CHECK(backend->generation() == 2);
    CHECK_FALSE(backend->defragment_progress());
    CHECK_FALSE(copy_is_there(directory));
    live = backend->sizes().live;
    CHECK(live == old.live);
    CHECK(live == recount(*backend));
    CHECK(backend->sizes().allocated == done.allocated_after);
    CHECK(everything(*backend) == before);
    // Who reads the old one goes on reading it.
    std::size_t rows = 0;
    REQUIRE(snapshot->scan_rows({}, {}, [&](base::BytesView, base::BytesView) -> base::Result<> {
      ++rows;
      return {};
    }));
    CHECK(rows == 250);
    append(*backend, 5001, 5010, 10);
    commit_all(*backend);
    CHECK(rows_of(*backend, Bucket::kKey).size() == 260);
    before = everything(*backend);
    live = backend->sizes().live;
  }
  auto pages = PageReader::open(base::posix_env(), directory.database());
  REQUIRE(pages);
  CHECK((*pages)->verify());
  auto backend = open_backend(test_options(directory, clock));
  CHECK(backend->opened().consistent_index == 5010);
  CHECK(everything(*backend) == before);
  CHECK(backend->sizes().live == live);
}

TEST_CASE("defragment: commits and deletions go on meanwhile and are in the copy") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    base::Random random(seed);
    TestDirectory directory;
    base::ManualClock clock;
    Options options = test_options(directory, clock);
    options.deletion_rows = 10 + random.below(50);
    auto backend = open_backend(options);
    ListedRows deletions;
    backend->commit_loop().set_deletion_source(&deletions);
    backend->commit_loop().set_copy_pace({.slice_bytes = 3'000 + random.below(20'000), .log_is_slow = [&] { return random.one_in(3); }});
    std::map<std::string, std::string> rows, leases;
    std::uint64_t main = 0;
    const auto write_some = [&] {
      for (std::uint64_t n = random.below(30); n > 0; --n) {
        const std::string value(random.one_in(10) ? random.below(9000) : random.below(200), 'v');
        backend->buffer().append_row(row_key(++main), value);
        rows[row_key(main)] = value;
      }
      for (std::uint64_t n = random.below(5); n > 0; --n) {
        const std::string key(random.one_in(5) ? 600 : 8, static_cast<char>('a' + random.below(26)));
        if (random.one_in(3)) {
          backend->buffer().erase(Bucket::kLease, key);
          leases.erase(key);
        } else {
          backend->buffer().put(Bucket::kLease, key, leases[key] = std::to_string(main));
        }
      }
      backend->buffer().set_applied(++main, 1);
      backend->freeze();
    };
    for (int i = 0; i < 100; ++i) {
      write_some();
      step(*backend, clock);
    }
    int switched = 0, cancelled = 0;
    Run run;
    for (int i = 0; i < 3000 && switched < 3; ++i) {
      if (!backend->defragment_progress()) backend->defragment(run.done());
      if (random.one_in(2)) write_some();
      if (random.one_in(10) && !rows.empty()) {
        for (std::uint64_t n = random.below(100); n > 0; --n) {
          auto at = rows.lower_bound(row_key(random.below(main)));
          if (at == rows.end()) continue;
          // Not one that waits in a buffer.
          if (base::get_be64(at->first.data()) > backend->committed_index()) continue;
          deletions.wanted.insert(at->first);
          rows.erase(at);
        }
      }
      if (cancelled < 3 && random.one_in(100)) backend->cancel_defragment();
      step(*backend, clock);
      if (!run.outcome) continue;
      if (run.outcome->has_value()) ++switched;
      else CHECK((++cancelled, run.outcome->error().code == Errc::kCancelled));
      CHECK_FALSE(copy_is_there(directory));
      run.outcome.reset();
    }
    CHECK(switched == 3);
    const auto check = [&] {
      CHECK(rows_of(*backend, Bucket::kKey) == Rows(rows.begin(), rows.end()));
      CHECK(rows_of(*backend, Bucket::kLease) == Rows(leases.begin(), leases.end()));
      CHECK(backend->sizes().live == recount(*backend));
    };
    while (!deletions.wanted.empty() || backend->buffers().frozen[0] || !backend->buffers().active->empty()) {
      backend->freeze();
      step(*backend, clock);
    }
    check();
    backend.reset();
    CHECK_FALSE(copy_is_there(directory));
    backend = open_backend(options);
    check();
  }
}

TEST_CASE("defragment: begins by itself behind a compaction that has left more than half of the file free") {
  for (const bool worth : {true, false}) {
    CAPTURE(worth);
    TestDirectory directory;
    base::ManualClock clock;
    Options options = test_options(directory, clock);
    options.shrink_at = worth ? 500'000 : 5'000'000;
    auto backend = open_backend(options);
    std::vector<std::uint64_t> generations;
    backend->commit_loop().set_listener({.on_commit = {}, .on_space = {}, .on_generation = [&](std::uint64_t n) { generations.push_back(n); }});
    append(*backend, 1, 400, 5'000);
    commit_all(*backend);
    const std::uint64_t before = backend->sizes().allocated;
    CHECK(before > 2'000'000);

    ListedRows deletions;
    backend->commit_loop().set_deletion_source(&deletions);
    const auto delete_rows = [&](std::uint64_t from, std::uint64_t to) {
      for (std::uint64_t main = from; main <= to; ++main) deletions.wanted.insert(row_key(main));
      for (int i = 0; i < 2'000; ++i) step(*backend, clock);
      CHECK(deletions.wanted.empty());
    };
    // Less than half: not yet.
    delete_rows(1, 100);
    CHECK(generations.empty());
    delete_rows(101, 300);
    CHECK(generations == (worth ? std::vector<std::uint64_t>{2} : std::vector<std::uint64_t>{}));
    CHECK(backend->generation() == (worth ? 2 : 1));
    if (worth) CHECK(backend->sizes().allocated < before / 3);
    CHECK_FALSE(backend->defragment_progress());
    const Rows rows = rows_of(*backend, Bucket::kKey);
    REQUIRE(rows.size() == 100);
    CHECK(rows.front().first == row_key(301));
    // What is then not worth it does not begin again.
    delete_rows(301, 301);
    CHECK(backend->generation() == (worth ? 2 : 1));
    CHECK_FALSE(copy_is_there(directory));
  }
}

TEST_CASE("defragment: without room the copy goes, the database stays and commits come first") {
  TestDirectory directory;
  base::ManualClock clock;
  Options options = test_options(directory, clock);
  options.map_size = 4 << 20;
  auto backend = open_backend(options);
  backend->commit_loop().set_copy_pace({.slice_bytes = 100'000, .log_is_slow = {}});
  std::vector<bool> space;
  backend->commit_loop().set_listener({.on_commit = {}, .on_space = [&](bool has_space) { space.push_back(has_space); }});
  append(*backend, 1, 1000, 3500);
  commit_all(*backend);
  // The copy's map is as small as the original's: rows of one page each fit, two large ones do not.
  append(*backend, 1001, 1001, 10);
  Run run;
  backend->defragment(run.done());
  for (int i = 0; i < 200 && !run.outcome; ++i) step(*backend, clock);
  REQUIRE(run.outcome);
  if (!*run.outcome) CHECK(run.outcome->error().code == Errc::kNoSpace);
  CHECK_FALSE(copy_is_there(directory));
  CHECK(space.empty());
  CHECK(rows_of(*backend, Bucket::kKey).size() == 1000);
}

TEST_CASE("defragment: what a crash left of a copy is removed at the next start") {
  TestDirectory directory;
  base::ManualClock clock;
  {
    auto backend = open_backend(test_options(directory, clock));
    append(*backend, 1, 10, 10);
    commit_all(*backend);
  }
  for (const char* suffix : {".new", ".new-lock"}) {
    std::FILE* file = std::fopen((directory.database() + suffix).c_str(), "w");
    REQUIRE(file);
    std::fputs("half a copy", file);
    std::fclose(file);
  }
  auto backend = open_backend(test_options(directory, clock));
  CHECK_FALSE(copy_is_there(directory));
  CHECK(rows_of(*backend, Bucket::kKey).size() == 10);
  // And one that is on its way when the backend goes leaves nothing.
  Run run;
  backend->defragment(run.done());
  backend.reset();
  CHECK_FALSE(copy_is_there(directory));
  CHECK_FALSE(run.outcome);
}

}  // namespace etcdpp::backend
