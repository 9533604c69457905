#include <etcdpp/backend/backend.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <thread>

#include "backend_testing.h"
#include "environment.h"
#include "write_transaction.h"

namespace etcdpp::backend {

namespace {

std::error_code refusal(const Options& options, std::string* message = nullptr) {
  auto opened = Backend::open(options);
  REQUIRE_FALSE(opened.has_value());
  if (message) *message = opened.error().message();
  CHECK(opened.error().message().find('\n') == std::string::npos);
  return opened.error().code;
}

}  // namespace

TEST_CASE("backend: a new database is empty and says so") {
  TestDirectory directory;
  auto backend = open_backend(test_options(directory));
  CHECK(backend->opened().created);
  CHECK(backend->opened().format_version == kFormatVersion);
  CHECK(backend->opened().consistent_index == 0);
  CHECK(backend->opened().term == 0);
  CHECK(backend->opened().conf_state.empty());
  for (const Bucket bucket : kBuckets) CHECK(rows_of(*backend, bucket).empty());
  CHECK(backend->sizes().live == 0);
  CHECK(backend->sizes().allocated > 0);
}

TEST_CASE("backend: rows, operations and the entry's index survive a reopen, whatever their size") {
  TestDirectory directory;
  const std::string long_key(5000, 'k');
  const std::string longer_key(70'000, 'k');
  {
    auto backend = open_backend(test_options(directory));
    WriteBuffer& buffer = backend->buffer();
    buffer.append_row(row_key(2), "two");
    buffer.append_row(row_key(3), std::string(200'000, 'x'));
    buffer.append_row(row_key(3, 1) + "t", "");
    buffer.put(Bucket::kLease, std::string("\0\1", 2), "lease");
    buffer.put(Bucket::kAuthUsers, std::string(480, 'u'), "plain");
    buffer.put(Bucket::kAuthUsers, std::string(481, 'u'), "digest");
    buffer.put(Bucket::kAuthUsers, long_key, "long");
    buffer.put(Bucket::kAuthUsers, longer_key, std::string(10'000, 'v'));
    buffer.put(Bucket::kAuthUsers, "zz", "last");
    buffer.put(Bucket::kAuthUsers, "a", "first");
    buffer.put(Bucket::kAlarm, "alarm", "");
    buffer.set_applied(12, 4);
    buffer.set_conf_state(R"({"voters":[161],"auto_leave":false})");
    commit_all(*backend);
    CHECK(backend->committed_index() == 12);
    CHECK(backend->sizes().live == recount(*backend));
    CHECK(backend->sizes().quota == backend->sizes().live);
  }
  auto backend = open_backend(test_options(directory));
  CHECK_FALSE(backend->opened().created);
  CHECK(backend->opened().consistent_index == 12);
  CHECK(backend->opened().term == 4);
  CHECK(backend->opened().conf_state == R"({"voters":[161],"auto_leave":false})");
  CHECK(backend->committed_index() == 12);
  CHECK(rows_of(*backend, Bucket::kKey) ==
        Rows{{row_key(2), "two"}, {row_key(3), std::string(200'000, 'x')}, {row_key(3, 1) + "t", ""}});
  CHECK(rows_of(*backend, Bucket::kLease) == Rows{{std::string("\0\1", 2), "lease"}});
  CHECK(rows_of(*backend, Bucket::kAlarm) == Rows{{"alarm", ""}});
  // In the order of the keys themselves, not of their digests.
  const Rows users = rows_of(*backend, Bucket::kAuthUsers);
  REQUIRE(users.size() == 6);
  CHECK(users[0].second == "first");
  CHECK(users[1] == std::pair(long_key, std::string("long")));
  CHECK(users[2] == std::pair(longer_key, std::string(10'000, 'v')));
  CHECK(users[3].second == "plain");
  CHECK(users[4].second == "digest");
  CHECK(users[5].second == "last");
  CHECK(backend->sizes().live == recount(*backend));
  auto transaction = backend->database()->begin_read();
  REQUIRE(transaction.has_value());
  CHECK(transaction->get(Bucket::kAuthUsers, longer_key)->value() == std::string(10'000, 'v'));
  CHECK(transaction->consistent_index().value() == 12);
}

TEST_CASE("backend: what was not committed is gone, as after a crash") {
  TestDirectory directory;
  {
    auto backend = open_backend(test_options(directory));
    backend->buffer().append_row(row_key(2), "committed");
    backend->buffer().set_applied(5, 1);
    commit_all(*backend);
    backend->buffer().append_row(row_key(3), "frozen");
    backend->buffer().set_applied(6, 1);
    REQUIRE(backend->freeze());
    backend->buffer().append_row(row_key(4), "active");
    backend->buffer().set_applied(7, 1);
  }
  auto backend = open_backend(test_options(directory));
  CHECK(backend->opened().consistent_index == 5);
  CHECK(rows_of(*backend, Bucket::kKey) == Rows{{row_key(2), "committed"}});
}

TEST_CASE("backend: overwritten and erased small rows leave the counter at the recount") {
  TestDirectory directory;
  auto backend = open_backend(test_options(directory));
  std::uint64_t state = 42;
  for (std::uint64_t round = 1; round <= 40; ++round) {
    for (int i = 0; i < 20; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const std::string key = (state >> 40) % 5 == 0 ? std::string(481 + (state >> 33) % 3, 'k') : std::to_string((state >> 33) % 30);
      if ((state >> 50) % 3 == 0) {
        backend->buffer().erase(Bucket::kLease, key);
      } else {
        backend->buffer().put(Bucket::kLease, key, std::string((state >> 45) % 600, 'v'));
      }
    }
    backend->buffer().append_row(row_key(round), std::string(round * 10, 'r'));
    backend->buffer().set_applied(round, 1);
    commit_all(*backend);
    REQUIRE(backend->sizes().live == recount(*backend));
  }
}

TEST_CASE("backend: a buffer is frozen by time, records, bytes or request, and only two wait") {
  TestDirectory directory;
  base::ManualClock clock;
  Options options = test_options(directory, clock);
  options.batch_limit = 10;
  options.batch_bytes = 1000;
  auto backend = open_backend(options);
  std::uint64_t main = 1;
  auto entry = [&](std::size_t rows, std::size_t size) {
    for (std::size_t i = 0; i < rows; ++i) backend->buffer().append_row(row_key(++main), std::string(size, 'v'));
    backend->buffer().set_applied(main, 1);
  };
  CHECK_FALSE(backend->freeze_if_due(clock.now()));
  CHECK(backend->freeze_due_at() == std::nullopt);

  SUBCASE("time counts from the first change") {
    entry(1, 1);
    CHECK_FALSE(backend->freeze_if_due(clock.now()));
    CHECK(backend->freeze_due_at() == clock.now() + std::chrono::milliseconds(100));
    clock.advance(std::chrono::milliseconds(99));
    CHECK_FALSE(backend->freeze_if_due(clock.now()));
    clock.advance(std::chrono::milliseconds(1));
    CHECK(backend->freeze_if_due(clock.now()));
    CHECK(backend->freeze_due_at() == std::nullopt);
  }
  SUBCASE("records") {
    entry(9, 1);
    CHECK_FALSE(backend->freeze_if_due(clock.now()));
    entry(1, 1);
    CHECK(backend->freeze_if_due(clock.now()));
  }
  SUBCASE("bytes") {
    entry(1, 900);
    CHECK_FALSE(backend->freeze_if_due(clock.now()));
    entry(1, 100);
    CHECK(backend->freeze_if_due(clock.now()));
  }
  SUBCASE("an entry is never split: one of many rows goes whole") {
    entry(500, 100);
    CHECK(backend->freeze_if_due(clock.now()));
    REQUIRE(backend->commit_loop().step().value());
    CHECK(rows_of(*backend, Bucket::kKey).size() == 500);
  }
  SUBCASE("request") {
    int answered = 0;
    backend->request_commit([&](base::Result<Commit> commit) { answered += commit.has_value() ? 1 : 0; });
    CHECK(backend->commit_loop().step().value());
    CHECK(answered == 1);  // nothing to commit: answered at once
    entry(1, 1);
    backend->request_commit([&](base::Result<Commit> commit) {
      REQUIRE(commit.has_value());
      CHECK(commit->consistent_index == main);
      CHECK(rows_of(*backend, Bucket::kKey).size() == 1);
      ++answered;
    });
    CHECK_FALSE(backend->commit_loop().step().value());
    CHECK(answered == 1);
    CHECK(backend->freeze_if_due(clock.now()));
    CHECK(backend->commit_loop().step().value());
    CHECK(answered == 2);
  }
  SUBCASE("two wait, then apply does") {
    entry(10, 1);
    CHECK(backend->freeze_if_due(clock.now()));
    entry(10, 1);
    CHECK(backend->freeze_if_due(clock.now()));
    entry(9, 1);
    CHECK_FALSE(backend->freeze_if_due(clock.now()));
    CHECK_FALSE(backend->saturated());
    entry(1, 1);
    CHECK_FALSE(backend->freeze_if_due(clock.now()));
    CHECK(backend->saturated());
    CHECK(backend->sizes().live == 0);
    CHECK(backend->sizes().quota == 30 * (17 + 1 + 16));
    const BufferSet set = backend->buffers();
    CHECK(set.frozen[0]->row(0).key == row_key(2));
    CHECK(set.frozen[1]->row(0).key == row_key(12));
    CHECK(set.active->row(0).key == row_key(22));
    CHECK(set.active_rows == 10);
    CHECK(backend->commit_loop().step().value());
    CHECK_FALSE(backend->saturated());
    CHECK(backend->freeze_if_due(clock.now()));
    CHECK(backend->buffers().frozen[0]->row(0).key == row_key(12));
    commit_all(*backend);
    CHECK(backend->buffers().frozen[0] == nullptr);
    CHECK(rows_of(*backend, Bucket::kKey).size() == 30);
  }
}

TEST_CASE("backend: refusals at open name their reason") {
  TestDirectory directory;
  std::string message;
  const Options options = test_options(directory);
  auto overwrite = [&](std::uint64_t offset, std::string_view bytes) {
    std::fstream file(directory.database(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file << bytes;
  };
  { open_backend(options); }

  SUBCASE("in use") {
    auto first = open_backend(options);
    CHECK(refusal(options) == Errc::kLocked);
  }
  SUBCASE("another member's or cluster's") {
    Options other = options;
    other.member_id = 0xb2;
    CHECK(refusal(other, &message) == Errc::kOtherMember);
    CHECK(message.find("member a1 in cluster c1") != std::string::npos);
    CHECK(message.find("member b2") != std::string::npos);
    other = options;
    other.cluster_id = 0xb2;
    CHECK(refusal(other) == Errc::kOtherMember);
  }
  SUBCASE("newer format") {
    {
      auto environment = Environment::open(directory.database(), 1 << 20, 8, false, nullptr);
      REQUIRE(environment.has_value());
      auto transaction = WriteTransaction::begin(**environment);
      REQUIRE(transaction.has_value());
      REQUIRE(transaction->put_own("format_version", kFormatVersion + 1).has_value());
      REQUIRE(transaction->commit().has_value());
    }
    CHECK(refusal(options, &message) == Errc::kNewerFormat);
    CHECK(message.find("has format 3, this version knows 2") != std::string::npos);
  }
  SUBCASE("etcd's database") {
    std::filesystem::create_directories(directory.path() + "/member/snap");
    std::ofstream(directory.path() + "/member/snap/db") << "bolt";
    CHECK(refusal(options) == Errc::kEtcdDatabase);
  }
  SUBCASE("garbage") {
    std::ofstream(directory.database(), std::ios::trunc) << std::string(100'000, 'g');
    CHECK(refusal(options) == Errc::kNotADatabase);
  }
  SUBCASE("empty") {
    std::ofstream(directory.database(), std::ios::trunc) << "";
    CHECK(refusal(options) == Errc::kNotADatabase);
  }
  SUBCASE("truncated") {
    {
      auto backend = open_backend(options);
      for (std::uint64_t i = 1; i < 1000; ++i) backend->buffer().append_row(row_key(i), std::string(300, 'v'));
      backend->buffer().set_applied(1, 1);
      commit_all(*backend);
    }
    std::filesystem::resize_file(directory.database(), 100'000);
    CHECK(refusal(options, &message) == Errc::kDamaged);
    CHECK(message.find("page ") != std::string::npos);
    CHECK(message.find("truncated") != std::string::npos);
  }
  SUBCASE("one meta broken") {
    overwrite(16, "XXXX");
    CHECK(refusal(options) == Errc::kDamaged);
  }
  SUBCASE("no format version") {
    overwrite(0, "");
    std::filesystem::remove(directory.database());
    {
      auto environment = Environment::open(directory.database(), 1 << 20, 8, true, nullptr);
      REQUIRE(environment.has_value());
    }
    CHECK(refusal(options) == Errc::kNotADatabase);
  }
  SUBCASE("an unfinished creation is no obstacle") {
    std::filesystem::remove(directory.database());
    std::ofstream(directory.database() + ".new") << std::string(5000, '\0');
    auto backend = open_backend(options);
    CHECK(backend->opened().created);
    CHECK_FALSE(std::filesystem::exists(directory.database() + ".new"));
  }
  SUBCASE("not a directory") {
    Options other = options;
    other.data_dir = directory.database();
    CHECK(refusal(other) == std::errc::not_a_directory);
  }
}

TEST_CASE("backend: a row with a wrong checksum is named, never served") {
  TestDirectory directory;
  const Options options = test_options(directory);
  {
    auto backend = open_backend(options);
    backend->buffer().append_row(row_key(7), "the value that will be damaged");
    backend->buffer().put(Bucket::kLease, "lease", "another value that will be damaged");
    backend->buffer().set_applied(3, 1);
    commit_all(*backend);
  }
  std::string bytes;
  {
    std::ifstream file(directory.database(), std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  for (std::size_t at = 0; (at = bytes.find("will be damaged", at)) != std::string::npos; ++at) bytes[at] ^= 1;
  const auto write_damage = [&] { std::ofstream(directory.database(), std::ios::binary | std::ios::in) << bytes; };
  SUBCASE("before it is opened") {
    write_damage();
    const auto refused = Backend::open(options);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::kDamaged);
    CHECK(refused.error().context.find(directory.database() + ": page ") != std::string::npos);
    CHECK(refused.error().context.find("checksum") != std::string::npos);
    return;
  }
  // Under its feet.
  auto backend = open_backend(options);
  write_damage();
  auto transaction = backend->database()->begin_read();
  REQUIRE(transaction.has_value());
  auto row = transaction->get_row(row_key(7));
  REQUIRE_FALSE(row.has_value());
  CHECK(row.error().code == Errc::kCorrupt);
  CHECK(row.error().context.find(base::hex(std::string_view(row_key(7)))) != std::string::npos);
  CHECK(row.error().context.find(directory.database() + ": page ") != std::string::npos);
  CHECK(transaction->get(Bucket::kLease, "lease").error().code == Errc::kCorrupt);
  const RowVisitor none = [](base::BytesView, base::BytesView) -> base::Result<> { return {}; };
  CHECK(backend->scan_key_rows(none).error().code == Errc::kCorrupt);
  CHECK(backend->scan_bucket(Bucket::kLease, none).error().code == Errc::kCorrupt);
}

TEST_CASE("backend: every row of a view is found while commits go on") {
  TestDirectory directory;
  Options options = test_options(directory);
  options.batch_limit = 50;
  auto backend = open_backend(options);

  struct View {
    std::uint64_t newest = 0;
    BufferSet buffers;
  };
  std::mutex mutex;
  std::shared_ptr<const View> published = std::make_shared<View>();
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> lookups{0};
  std::atomic<std::uint64_t> missing{0};

  std::thread committer([&] {
    auto result = backend->commit_loop().run();
    if (!result) ++missing;
  });
  auto read = [&](std::uint64_t state) {
    while (!done.load()) {
      std::shared_ptr<const View> view;
      {
        std::lock_guard lock(mutex);
        view = published;
      }
      if (view->newest == 0) continue;
      auto transaction = view->buffers.database->begin_read();
      if (!transaction) {
        ++missing;
        continue;
      }
      for (int i = 0; i < 20; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const std::uint64_t main = 1 + (state >> 33) % view->newest;
        auto value = view->buffers.find(row_key(main));
        if (!value) {
          auto stored = transaction->get_row(row_key(main));
          if (stored) value = *stored;
        }
        if (!value || *value != std::to_string(main)) ++missing;
        ++lookups;
      }
      // The same rows in order: nothing missing, nothing twice.
      RowScan scan(view->buffers, *transaction);
      state = state * 6364136223846793005u + 1442695040888963407u;
      std::uint64_t expected = 1 + (state >> 33) % view->newest;
      auto there = scan.seek(row_key(expected));
      for (; there && *there; there = scan.next(), ++expected)
        if (scan.key() != row_key(expected) || scan.value() != std::to_string(expected)) break;
      if (!there || *there || expected != view->newest + 1) ++missing;
    }
  };
  std::thread first(read, 1), second(read, 2);
  for (std::uint64_t i = 1; i <= 4000; ++i) {
    while (backend->saturated()) std::this_thread::yield();
    backend->buffer().append_row(row_key(i), std::to_string(i));
    backend->buffer().set_applied(i, 1);
    backend->freeze_if_due(system_clock().now());
    auto view = std::make_shared<const View>(View{i, backend->buffers()});
    std::lock_guard lock(mutex);
    published = std::move(view);
  }
  done = true;
  first.join();
  second.join();
  // Two frozen buffers may still wait for a slow disk: the last rows find a place as soon as one of them is committed.
  while (backend->freeze_due_at() && !backend->freeze()) std::this_thread::yield();
  backend->commit_loop().stop();
  committer.join();
  published.reset();
  CHECK(missing == 0);
  CHECK(lookups > 0);
  // stop() lets the loop finish what was frozen.
  backend.reset();
  backend = open_backend(options);
  CHECK(backend->opened().consistent_index == 4000);
}

}  // namespace etcdpp::backend
