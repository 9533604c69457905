#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include <etcdpp/backend/errc.h>
#include <etcdpp/base/clock.h>
#include <etcdpp/base/random.h>
#include <etcdpp/bolt/errc.h>
#include <etcdpp/bolt/file_writer.h>
#include <etcdpp/bolt/verify.h>
#include <etcdpp/exchange/errc.h>
#include <etcdpp/exchange/export.h>
#include <etcdpp/exchange/import.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/revision.h>

namespace etcdpp::exchange {

namespace {

using backend::Bucket;

class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / ("etcdpp-exchange-" + base::hex(base::random_seed()))) { std::filesystem::create_directories(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

backend::Options options_for(const std::string& data_dir, const base::Clock& clock, base::Env& env = base::posix_env()) {
  backend::Options options;
  options.data_dir = data_dir;
  options.env = &env;
  options.clock = &clock;
  options.logger = &base::null_logger();
  options.cluster_id = 0xc1;
  options.member_id = 0xa1;
  return options;
}

std::string key_row(const std::string& key, std::int64_t revision, const std::string& value) {
  std::string row;
  mvcc::append_encoded({.key = key, .create_revision = revision, .mod_revision = revision, .version = 1, .value = value}, row);
  return row;
}

// A member's database that is written to.
struct Member {
  explicit Member(const std::string& data_dir) {
    auto opened = backend::Backend::open(options_for(data_dir, clock));
    REQUIRE(opened.has_value());
    backend = std::move(*opened);
  }
  void put(std::size_t size) {
    ++revision;
    backend->buffer().append_row(mvcc::RowKeyBytes({revision, 0}, false), key_row("key" + std::to_string(revision % 40), revision, std::string(size, 'v')));
  }
  void commit() {
    backend->buffer().set_applied(++index, 3);
    backend->freeze();
    REQUIRE(backend->commit_loop().step().has_value());
  }
  base::ManualClock clock;
  std::unique_ptr<backend::Backend> backend;
  std::int64_t revision = 1;
  std::uint64_t index = 10;
};

void fill(Member& member) {
  base::Random random(7);
  for (int commit = 0; commit < 6; ++commit) {
    for (int i = 0; i < 200; ++i) member.put(random.one_in(40) ? 9'000 : random.below(300));
    for (int i = 0; i < 30; ++i) member.backend->buffer().put(Bucket::kLease, std::string(7, '\0') + static_cast<char>(commit * 30 + i + 1), "\x08\x01\x10\x3c");
    member.commit();
  }
  // Keys that no LMDB key can hold.
  for (const char c : {'z', 'a', 'm'}) member.backend->buffer().put(Bucket::kAuthUsers, std::string(2000, c), std::string(50, c));
  member.backend->buffer().put(Bucket::kAuthUsers, "alice", "x");
  member.backend->buffer().put(Bucket::kMeta, "storageVersion", "3.7.0");
  member.backend->buffer().put(Bucket::kMembers, "a1", "{}");
  member.backend->buffer().set_conf_state(R"({"voters":[161],"auto_leave":false})");
  member.commit();
}

using Rows = std::map<std::pair<Bucket, std::string>, std::string>;

Rows rows_of(const backend::Backend& backend) {
  Rows rows;
  for (const Bucket bucket : backend::kBuckets) {
    REQUIRE(backend.scan_bucket(bucket, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
      rows.emplace(std::pair(bucket, std::string(key)), value);
      return {};
    }));
  }
  return rows;
}

Rows rows_of_bolt(const std::string& path) {
  Rows rows;
  auto reader = bolt::Reader::open(base::posix_env(), path);
  REQUIRE(reader.has_value());
  for (const Bucket bucket : backend::kBuckets) {
    REQUIRE((*reader)->scan(backend::bucket_name(bucket), {}, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
      rows.emplace(std::pair(bucket, std::string(key)), value);
      return {};
    }));
  }
  return rows;
}

const auto no_pace = [](std::size_t) -> base::Result<> { return {}; };

void write_export(Export& source, const std::string& path) {
  const auto size = source.measure(no_pace);
  REQUIRE(size.has_value());
  std::ofstream out(path, std::ios::binary);
  std::uint64_t written = 0;
  REQUIRE(source.write([&](base::BytesView bytes) -> base::Result<> {
    out << bytes;
    written += bytes.size();
    return {};
  }, no_pace));
  CHECK(written == *size);
}

// Fails the n-th change of the file system, as a crash before it would leave things.
class FailingEnv final : public base::Env {
 public:
  explicit FailingEnv(std::uint64_t at) : left_(at) {}
  bool failed() const { return left_ == 0; }

  base::Result<std::unique_ptr<base::File>> open(const std::string& path, base::OpenMode mode, unsigned permissions) override {
    if (mode != base::OpenMode::kReadOnly) ETCDPP_TRY(count());
    return real_.open(path, mode, permissions);
  }
  bool exists(const std::string& path) override { return real_.exists(path); }
  base::Result<std::vector<std::string>> list(const std::string& directory) override { return real_.list(directory); }
  base::Result<> make_directories(const std::string& path, unsigned permissions) override { return real_.make_directories(path, permissions); }
  base::Result<> remove(const std::string& path) override {
    ETCDPP_TRY(count());
    return real_.remove(path);
  }
  base::Result<> remove_tree(const std::string& path) override { return real_.remove_tree(path); }
  base::Result<> rename(const std::string& from, const std::string& to) override {
    ETCDPP_TRY(count());
    return real_.rename(from, to);
  }
  base::Result<> sync_directory(const std::string& path) override {
    ETCDPP_TRY(count());
    return real_.sync_directory(path);
  }

 private:
  base::Result<> count() {
    if (left_ == 0 || --left_ == 0) return base::Error(std::make_error_code(std::errc::io_error));
    return {};
  }
  base::Env& real_ = base::posix_env();
  std::uint64_t left_;
};

std::string bolt_file(const std::string& path, const Rows& rows) {
  auto file = bolt::FileWriter::create(base::posix_env(), path);
  REQUIRE(file.has_value());
  const auto scan = [&](Bucket bucket, const backend::RowVisitor& visit) -> base::Result<> {
    for (const auto& [place, value] : rows)
      if (place.first == bucket) ETCDPP_TRY(visit(place.second, value));
    return {};
  };
  REQUIRE(write_buckets(scan, (*file)->rows()));
  REQUIRE((*file)->finish());
  return path;
}

base::Result<> copy(const std::string& from, const backend::Options& options) {
  ETCDPP_ASSIGN(const auto import, Import::open(base::posix_env(), from));
  ETCDPP_ASSIGN(const auto fresh, backend::FreshDatabase::create(options));
  ETCDPP_TRY(import->copy_to(*fresh));
  return fresh->finish();
}

// <folder>/db, and what the member had.
Rows export_of_a_member(const Folder& folder) {
  Member member(folder / "m");
  fill(member);
  write_export(**Export::begin(member.backend->database()), folder / "db");
  return rows_of(*member.backend);
}

}  // namespace

TEST_CASE("exchange: an export is of one commit, whatever is written, deleted and replaced meanwhile") {
  const Folder folder;
  Member member(folder / "m");
  fill(member);
  const Rows before = rows_of(*member.backend);
  const std::uint64_t index = member.index;
  auto source = Export::begin(member.backend->database());
  REQUIRE(source.has_value());
  CHECK((*source)->consistent_index() == index);
  CHECK((*source)->storage_version() == "3.7.0");
  std::size_t paced = 0;
  const auto size = (*source)->measure([&](std::size_t bytes) -> base::Result<> {
    paced += bytes;
    member.put(300);
    member.backend->buffer().erase(Bucket::kLease, std::string(7, '\0') + '\1');
    member.commit();
    return {};
  });
  REQUIRE(size.has_value());
  CHECK(paced >= Export::kPaceBytes);
  member.backend->defragment([](base::Result<backend::Defragmented> done) { CHECK(done.has_value()); });
  for (int i = 0; i < 100 && member.backend->generation() == 1; ++i) {
    member.clock.advance(std::chrono::seconds(1));
    REQUIRE(member.backend->commit_loop().step().has_value());
  }
  CHECK(member.backend->generation() == 2);
  std::string bytes;
  const auto digest = (*source)->write([&](base::BytesView part) -> base::Result<> {
    bytes += part;
    return {};
  }, no_pace);
  REQUIRE(digest.has_value());
  CHECK(bytes.size() == *size);
  bolt::Sha256 sha;
  sha.add(bytes);
  CHECK(sha.digest() == *digest);
  std::ofstream(folder / "db", std::ios::binary) << bytes;
  CHECK(rows_of_bolt(folder / "db") == before);
  auto reader = bolt::Reader::open(base::posix_env(), folder / "db");
  REQUIRE(reader.has_value());
  const auto verdict = bolt::verify(**reader);
  REQUIRE(verdict.has_value());
  CHECK(verdict->whole());
}

TEST_CASE("exchange: an export ends when nobody wants it any more") {
  const Folder folder;
  Member member(folder / "m");
  fill(member);
  const auto enough = [](auto) -> base::Result<> { return base::Error(std::make_error_code(std::errc::operation_canceled)); };
  auto source = Export::begin(member.backend->database());
  REQUIRE(source.has_value());
  CHECK((*source)->measure(enough).error().code == std::errc::operation_canceled);
  REQUIRE((*source)->measure(no_pace));
  CHECK((*source)->write(enough, no_pace).error().code == std::errc::operation_canceled);
}

TEST_CASE("exchange: there and back again") {
  const Folder folder;
  const Rows before = export_of_a_member(folder);
  auto import = Import::open(base::posix_env(), folder / "db");
  REQUIRE(import.has_value());
  const EtcdFacts& facts = (*import)->facts();
  CHECK(facts.consistent_index == 17);
  CHECK(facts.term == 3);
  CHECK(facts.storage_version == "3.7.0");
  CHECK(facts.members == std::vector<std::string>{"a1"});
  CHECK(!facts.auth_enabled);
  CHECK(!facts.downgrading);
  base::ManualClock clock;
  const backend::Options options = options_for(folder / "n", clock);
  REQUIRE(copy(folder / "db", options));
  auto opened = backend::Backend::open(options);
  REQUIRE(opened.has_value());
  CHECK(!(*opened)->opened().created);
  CHECK((*opened)->opened().consistent_index == 17);
  CHECK(rows_of(**opened) == before);
  std::uint64_t live = 0;
  for (const auto& [place, value] : before) live += place.second.size() + value.size() + 16;
  CHECK((*opened)->sizes().live == live);
  // It can be gone on with, and there is no second one over it.
  (*opened)->buffer().append_row(mvcc::RowKeyBytes({5000, 0}, false), key_row("more", 5000, "v"));
  (*opened)->buffer().set_applied(18, 3);
  (*opened)->freeze();
  CHECK((*opened)->commit_loop().step().has_value());
  CHECK(backend::FreshDatabase::create(options).error().code == backend::Errc::kLocked);
  opened->reset();
  CHECK(backend::FreshDatabase::create(options).error().code == backend::Errc::kNotADatabase);
}

TEST_CASE("exchange: a copy that fails at any step leaves nothing, and can be made again") {
  const Folder folder;
  const Rows before = export_of_a_member(folder);
  base::ManualClock clock;
  std::uint64_t step = 1;
  for (;; ++step) {
    CAPTURE(step);
    const std::string data_dir = folder / std::to_string(step);
    FailingEnv env(step);
    const auto copied = copy(folder / "db", options_for(data_dir, clock, env));
    if (!env.failed()) {
      CHECK(copied.has_value());
      break;
    }
    CHECK(!copied.has_value());
    const backend::Options options = options_for(data_dir, clock);
    // Only what failed behind the renaming is there, and that is whole.
    if (!std::filesystem::exists(data_dir + "/member/etcdpp/data.lmdb")) REQUIRE(copy(folder / "db", options));
    auto opened = backend::Backend::open(options);
    REQUIRE(opened.has_value());
    CHECK(rows_of(**opened) == before);
  }
  CHECK(step > 4);
}

TEST_CASE("exchange: rows that the store would not take are refused before anything is named") {
  const Folder folder;
  base::ManualClock clock;
  const std::string row17 = std::string(mvcc::RowKeyBytes({5, 0}, false).view());
  const auto refusal = [&](const char* name, const Rows& rows) {
    const auto copied = copy(bolt_file(folder / name, rows), options_for(folder / (std::string(name) + ".d"), clock));
    CHECK(!std::filesystem::exists(folder / (std::string(name) + ".d/member/etcdpp/data.lmdb")));
    return copied ? std::error_code() : copied.error().code;
  };
  CHECK(refusal("length", {{{Bucket::kKey, "short"}, ""}}) == Errc::kBadRow);
  CHECK(refusal("value", {{{Bucket::kKey, row17}, "\x0a\xff"}}) == Errc::kBadRow);
  CHECK(refusal("twice", {{{Bucket::kKey, row17}, ""}, {{Bucket::kKey, row17 + "t"}, ""}}) == Errc::kBadRow);
  CHECK(refusal("index", {{{Bucket::kMeta, "consistent_index"}, "123"}}) == Errc::kBadRow);
  CHECK(refusal("mark", {{{Bucket::kMeta, "scheduledCompactRev"}, "123"}}) == Errc::kBadRow);
  std::ofstream(folder / "garbage", std::ios::binary) << std::string(20'000, 'x');
  CHECK(copy(folder / "garbage", options_for(folder / "g", clock)).error().code == bolt::Errc::kNotADatabase);
  // As `etcdutl snapshot restore --bump-revision` writes it.
  base::ManualClock other;
  CHECK(copy(bolt_file(folder / "bumped", {{{Bucket::kKey, row17}, ""}}), options_for(folder / "b", other)).has_value());
}

}  // namespace etcdpp::exchange
