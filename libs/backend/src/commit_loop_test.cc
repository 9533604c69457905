#include <etcdpp/backend/commit_loop.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "backend_testing.h"

namespace etcdpp::backend {

namespace {

// Deletes the rows below `compact_` with an even main, remembering where it stands, as compaction does.
class EvenRows final : public DeletionSource {
 public:
  EvenRows(std::uint64_t compact, std::uint64_t behind_index) : compact_(compact), behind_(behind_index) {}

  bool pending(std::uint64_t committed_index) override { return !finished_ && committed_index >= behind_; }
  base::Result<> delete_some(DeletionBatch& batch) override {
    ++slices_;
    next_ = position_;
    finishing_ = false;
    auto there = batch.seek(row_key(position_));
    while (there && *there) {
      const std::uint64_t main = base::get_be64(batch.key().data());
      if (main >= compact_) break;
      next_ = main + 1;
      if (main % 2 == 0) batch.erase();
      if (batch.exhausted()) return {};
      there = batch.next();
    }
    ETCDPP_TRY(there);
    batch.put(Bucket::kMeta, "finishedCompactRev", "done");
    finishing_ = true;
    return {};
  }
  void deletions_committed() override {
    position_ = next_;
    finished_ = finishing_;
  }
  void deletions_aborted() override { ++aborted_; }

  bool finished() const { return finished_; }
  int slices() const { return slices_; }
  int aborted() const { return aborted_; }

 private:
  std::uint64_t compact_, behind_;
  std::uint64_t position_ = 0, next_ = 0;
  bool finishing_ = false, finished_ = false;
  int slices_ = 0, aborted_ = 0;
};

}  // namespace

TEST_CASE("commit loop: deletions ride behind their entry, in slices, and leave the index alone") {
  TestDirectory directory;
  base::ManualClock clock;
  Options options = test_options(directory, clock);
  options.deletion_rows = 100;
  auto backend = open_backend(options);
  std::vector<Commit> commits;
  backend->commit_loop().set_listener({.on_commit = [&](const Commit& commit) { commits.push_back(commit); }, .on_space = {}});
  EvenRows source(900, 1500);
  backend->commit_loop().set_deletion_source(&source);

  append(*backend, 1, 1000, 50);
  commit_all(*backend);
  CHECK(source.slices() == 0);  // entry 1500 is not committed
  append(*backend, 1001, 1500, 50);
  backend->freeze();
  REQUIRE(backend->commit_loop().step().value());
  CHECK(source.slices() == 0);
  REQUIRE(backend->commit_loop().step().value());
  CHECK(source.slices() == 1);
  CHECK(rows_of(*backend, Bucket::kKey).size() == 1500 - commits.back().deleted_rows);
  CHECK(commits.back().deleted_rows == 50);
  CHECK(commits.back().consistent_index == 1500);
  CHECK(backend->sizes().live == recount(*backend));
  CHECK(rows_of(*backend, Bucket::kMeta).size() == 2);

  // On its own it pauses; with a buffer it waits for nothing but the pause.
  CHECK_FALSE(backend->commit_loop().step().value());
  REQUIRE(backend->commit_loop().next_due());
  CHECK(*backend->commit_loop().next_due() == clock.now() + options.deletion_pause);
  clock.advance(options.deletion_pause);
  append(*backend, 1501, 1501, 50);
  backend->freeze();
  REQUIRE(backend->commit_loop().step().value());
  CHECK(commits.back().rows == 1);
  CHECK(commits.back().deleted_rows == 50);
  CHECK(commits.back().consistent_index == 1501);
  while (!source.finished()) {
    clock.advance(options.deletion_pause);
    REQUIRE(backend->commit_loop().step().value());
  }
  CHECK(source.slices() == 9);
  clock.advance(options.deletion_pause);
  CHECK_FALSE(backend->commit_loop().step().value());
  CHECK(backend->commit_loop().next_due() == std::nullopt);
  const Rows rows = rows_of(*backend, Bucket::kKey);
  CHECK(rows.size() == 1501 - 449);
  for (const auto& [key, value] : rows) {
    const std::uint64_t main = base::get_be64(key.data());
    CHECK((main >= 900 || main % 2 == 1));
  }
  CHECK(rows_of(*backend, Bucket::kMeta)[1].first == "finishedCompactRev");
  CHECK(backend->sizes().live == recount(*backend));
}

TEST_CASE("commit loop: a full map keeps the buffer, is told once, and deletions make room") {
  TestDirectory directory;
  base::ManualClock clock;
  Options options = test_options(directory, clock);
  options.map_size = 4 << 20;
  auto backend = open_backend(options);
  std::vector<bool> space;
  backend->commit_loop().set_listener({.on_commit = {}, .on_space = [&](bool has_space) { space.push_back(has_space); }});

  std::uint64_t main = 0;
  while (space.empty()) {
    append(*backend, main + 1, main + 100, 4000);
    main += 100;
    backend->freeze();
    REQUIRE(backend->commit_loop().step().value());
    REQUIRE(main < 5000);
  }
  CHECK(space == std::vector<bool>{false});
  CHECK(backend->committed_index() == main - 100);
  CHECK(backend->buffers().frozen[0] != nullptr);
  bool answered = false;
  backend->request_commit([&](base::Result<Commit> commit) { answered = commit.has_value(); });
  CHECK_FALSE(backend->commit_loop().step().value());  // not before the second is over
  clock.advance(std::chrono::seconds(1));
  CHECK(backend->commit_loop().step().value());
  CHECK(space.size() == 1);
  CHECK_FALSE(answered);

  EvenRows source(main, 1);
  backend->commit_loop().set_deletion_source(&source);
  for (int second = 0; second < 20 && !answered; ++second) {
    clock.advance(std::chrono::seconds(1));
    REQUIRE(backend->commit_loop().step().has_value());
  }
  CHECK(answered);
  CHECK(space == std::vector<bool>{false, true});
  CHECK(backend->committed_index() == main);
  CHECK(backend->sizes().live == recount(*backend));
}

TEST_CASE("commit loop: a file that may not grow is no space, not an I/O error") {
  TestDirectory directory;
  // In a child, whose limit on file sizes concerns nobody else.
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 13 << 20;
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(10);
    base::ManualClock clock;
    auto backend = Backend::open(test_options(directory, clock));
    if (!backend) ::_exit(11);
    bool full = false;
    (*backend)->commit_loop().set_listener({.on_commit = {}, .on_space = [&](bool has_space) { full = !has_space; }});
    std::uint64_t main = 0;
    while (!full && main < 100'000) {
      append(**backend, main + 1, main + 100, 1000);
      main += 100;
      (*backend)->freeze();
      if (!(*backend)->commit_loop().step()) ::_exit(12);
    }
    if (!full || (*backend)->committed_index() != main - 100) ::_exit(13);
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(14);
    clock.advance(std::chrono::seconds(1));
    const auto step = (*backend)->commit_loop().step();
    if (!step || full || (*backend)->committed_index() != main) ::_exit(15);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("commit loop: a process killed at any moment leaves whole commits, at least those it had reported") {
  TestDirectory directory;
  std::uint64_t reported = 0;
  for (int round = 0; round < 10; ++round) {
    int pipe_ends[2];
    REQUIRE(::pipe(pipe_ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      auto backend = Backend::open(test_options(directory));
      if (!backend) ::_exit(11);
      for (std::uint64_t index = (*backend)->opened().consistent_index + 1;; ++index) {
        // Three rows and a small one per entry, and a number that must go with them.
        for (std::uint64_t sub = 0; sub < 3; ++sub)
          (*backend)->buffer().append_row(row_key(index, sub), std::string(100 + index % 4000, 'v'));
        (*backend)->buffer().put(Bucket::kLease, "last", std::to_string(index));
        (*backend)->buffer().set_applied(index, 1);
        if (index % 5 != 0) continue;
        (*backend)->freeze();
        if (!(*backend)->commit_loop().step()) ::_exit(12);
        const std::uint64_t committed = (*backend)->committed_index();
        if (::write(pipe_ends[1], &committed, sizeof committed) != sizeof committed) ::_exit(13);
      }
    }
    ::close(pipe_ends[1]);
    // Let it report a few commits, then kill it wherever it is.
    for (int i = 0; i < 2 + round * 3; ++i) {
      std::uint64_t committed = 0;
      REQUIRE(::read(pipe_ends[0], &committed, sizeof committed) == sizeof committed);
      reported = committed;
    }
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    for (std::uint64_t committed; ::read(pipe_ends[0], &committed, sizeof committed) == sizeof committed;) reported = committed;
    ::close(pipe_ends[0]);

    auto backend = open_backend(test_options(directory));
    const std::uint64_t index = backend->opened().consistent_index;
    CHECK(index >= reported);
    CHECK(index % 5 == 0);
    const Rows rows = rows_of(*backend, Bucket::kKey);
    REQUIRE(rows.size() == index * 3);
    CHECK(rows.back().first == row_key(index, 2));
    CHECK(rows_of(*backend, Bucket::kLease) == Rows{{"last", std::to_string(index)}});
    CHECK(backend->sizes().live == recount(*backend));
  }
}

TEST_CASE("commit loop: rows that are not above the last one stop the member") {
  TestDirectory directory;
  auto backend = open_backend(test_options(directory));
  backend->buffer().append_row(row_key(9), "");
  commit_all(*backend);
  backend->buffer().append_row(row_key(8), "");
  bool failed = false;
  backend->request_commit([&](base::Result<Commit> commit) { failed = !commit.has_value(); });
  REQUIRE(backend->freeze());
  const auto step = backend->commit_loop().step();
  REQUIRE_FALSE(step.has_value());
  CHECK(step.error().code == Errc::kCorrupt);
  CHECK(failed);
}

}  // namespace etcdpp::backend
