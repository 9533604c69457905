#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <etcdpp/backend/backend.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/revision.h>

#include "dump.h"

namespace etcdpp::mvccdump {

namespace {

using backend::Backend;
using backend::Bucket;

struct Member {
  Member() {
    std::string pattern = (std::filesystem::temp_directory_path() / "etcdpp-mvccdump-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    directory = pattern;
    backend::Options options;
    options.data_dir = directory;
    options.env = &base::posix_env();
    options.clock = &clock;
    options.logger = &base::null_logger();
    options.cluster_id = 0xc1;
    options.member_id = 0xa1;
    auto opened = Backend::open(options);
    REQUIRE(opened.has_value());
    backend = std::move(*opened);
  }
  ~Member() {
    backend.reset();
    std::filesystem::remove_all(directory);
  }
  void commit() {
    backend->freeze();
    while (backend->commit_loop().step().value()) {
    }
  }
  std::unique_ptr<backend::DatabaseFile> file() const {
    const auto path = find_database(base::posix_env(), directory);
    REQUIRE(path.has_value());
    auto opened = backend::DatabaseFile::open(base::posix_env(), *path);
    REQUIRE(opened.has_value());
    return std::move(*opened);
  }

  base::SystemClock clock;
  std::string directory;
  std::unique_ptr<Backend> backend;
};

std::string unhex(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  return out;
}

void put_row(Member& member, Bucket bucket, const std::string& key, const std::string& value) {
  if (bucket == Bucket::kKey) {
    member.backend->buffer().append_row(key, value);
  } else {
    member.backend->buffer().put(bucket, key, value);
  }
}

// The rows of a recorded member of etcd 3.7.1 ("### bucket NAME", then key and value in hexadecimal).
bool load_recorded(Member& member, std::string* json = nullptr) {
  std::ifstream rows("../shared/testdata/etcd/a-datadir/buckets-hex.txt");
  if (!rows) {
    MESSAGE("SKIPPED: the recorded data directory of etcd is not there (../shared/testdata/etcd/a-datadir)");
    return false;
  }
  Bucket bucket{};
  for (std::string line; std::getline(rows, line);) {
    if (line.starts_with("### bucket ")) {
      bucket = backend::bucket_named(line.substr(11)).value();
      continue;
    }
    const std::size_t space = line.find(' ');
    put_row(member, bucket, unhex(line.substr(0, space)), unhex(line.substr(space + 1)));
    if (json)
      *json += R"({"bucket":")" + std::string(backend::bucket_name(bucket)) + R"(","key":")" + line.substr(0, space) +
               R"(","value":")" + line.substr(space + 1) + "\"}\n";
  }
  member.commit();
  return true;
}

std::uint64_t field(const std::string& json, const std::string& name) {
  const std::size_t at = json.find("\"" + name + "\":");
  REQUIRE(at != std::string::npos);
  return std::stoull(json.substr(at + name.size() + 3));
}

}  // namespace

TEST_CASE("mvccdump: buckets of a recorded etcd come out as they went in") {
  Member member;
  std::string expected;
  if (!load_recorded(member, &expected)) return;
  std::ostringstream out;
  const auto found = dump_buckets(*member.file(), Format::kJson, std::nullopt, out);
  REQUIRE(found.has_value());
  CHECK(found->clean());
  CHECK(out.str() == expected);

  std::ostringstream text;
  const auto shown = dump_buckets(*member.file(), Format::kText, std::nullopt, text);
  REQUIRE(shown.has_value());
  CHECK(shown->clean());  // everything was decoded
  CHECK(text.str().find("key  203.0  put key=\"cnt\" create=184 mod=203 version=20 lease=0 value(2)=\"20\"\n") != std::string::npos);
  CHECK(text.str().find("key  183.0  tombstone key=\"post/4\"\n") != std::string::npos);
  CHECK(text.str().find("auth  \"authRevision\"  17\n") != std::string::npos);
  CHECK(text.str().find("authRoles  \"r1\"  permissions=[READ \"foo\" READWRITE \"k\"..\"l\" WRITE \"zz\"..\"zzz\"]\n") != std::string::npos);
  CHECK(text.str().find("$2a$") == std::string::npos);  // no password hash on a terminal
  CHECK(text.str().find("meta  \"finishedCompactRev\"  155.0\n") != std::string::npos);
}

TEST_CASE("mvccdump: hashes of a recorded etcd are etcd's, at every revision") {
  Member member;
  if (!load_recorded(member)) return;
  const auto file = member.file();
  std::ifstream recorded("../shared/testdata/etcd/a-datadir/hashkv-per-revision.jsonl");
  int compared = 0;
  for (std::string line; std::getline(recorded, line);) {
    if (line.find("\"hash\":") == std::string::npos) continue;
    const std::uint64_t revision = field(line, "rev");
    // At 47 and 155 the member had the hashes of its compactions in memory, which no database holds.
    if (revision <= 155) continue;
    std::ostringstream out;
    REQUIRE(dump_hash(*file, Format::kJson, static_cast<std::int64_t>(revision), out).has_value());
    CHECK(field(out.str(), "hash") == field(line, "hash"));
    CHECK(field(out.str(), "compact_revision") == 155);
    CHECK(field(out.str(), "database_hash") == 1923410633);
    ++compared;
  }
  CHECK(compared == 48);
  std::ostringstream out;
  CHECK_FALSE(dump_hash(*file, Format::kJson, 154, out).has_value());
  CHECK_FALSE(dump_hash(*file, Format::kJson, 204, out).has_value());
}

TEST_CASE("mvccdump: generations of keys, with their lives") {
  Member member;
  const auto kv = [](std::string key, std::int64_t create, std::int64_t mod, std::int64_t version) {
    std::string out;
    mvcc::append_encoded({.key = key, .create_revision = create, .mod_revision = mod, .version = version, .value = "v", .lease = 0}, out);
    return out;
  };
  auto row = [&](std::int64_t main, bool tombstone, const std::string& value) {
    member.backend->buffer().append_row(mvcc::RowKeyBytes({main, 0}, tombstone), value);
  };
  row(2, false, kv("foo", 2, 2, 1));
  row(3, false, kv("foo", 2, 3, 2));
  row(4, true, "\x0a\x03" "foo");
  row(5, false, kv("foo", 5, 5, 1));
  row(6, false, kv("b\x1b[2J", 6, 6, 1));
  member.commit();
  std::ostringstream out;
  REQUIRE(dump_keys(*member.file(), Format::kText, "", out).has_value());
  CHECK(out.str() ==
        "key=\"b\\x1b[2J\" modified=6.0\n"
        "  generation 1: created=6 version=1 lives 6 on revisions=[6.0]\n"
        "key=\"foo\" modified=5.0\n"
        "  generation 1: created=2 version=3 lives 2-4 revisions=[2.0 3.0 4.0t]\n"
        "  generation 2: created=5 version=1 lives 5 on revisions=[5.0]\n");
  std::ostringstream revisions;
  REQUIRE(dump_revisions(*member.file(), Format::kText, {.from = 3, .to = 5, .key = "foo"}, revisions).has_value());
  CHECK(revisions.str() ==
        "3.0  put key=\"foo\" create=2 mod=3 version=2 lease=0 value(1)=\"v\"\n"
        "4.0  tombstone key=\"foo\"\n"
        "5.0  put key=\"foo\" create=5 mod=5 version=1 lease=0 value(1)=\"v\"\n");
}

TEST_CASE("mvccdump: meta tells damage from health, and nothing is written") {
  Member member;
  member.backend->buffer().put(Bucket::kAuthUsers, "root", "not a user, but a row that can be found");
  member.backend->buffer().set_applied(9, 2);
  member.commit();
  std::ostringstream out;
  const auto files_before = base::posix_env().list(member.directory + "/member/etcdpp").value();
  const auto time_before = std::filesystem::last_write_time(member.directory + "/member/etcdpp/data.lmdb");
  const auto clean = dump_meta(*member.file(), Format::kJson, out);
  REQUIRE(clean.has_value());
  CHECK(clean->clean());
  CHECK(out.str().find(R"("structure":"whole")") != std::string::npos);
  CHECK(out.str().find(R"("member_id":"a1")") != std::string::npos);
  CHECK(out.str().find(R"("meta/consistent_index":"9")") != std::string::npos);
  CHECK(field(out.str(), "live_bytes counted") == member.backend->sizes().live);
  CHECK(base::posix_env().list(member.directory + "/member/etcdpp").value() == files_before);
  CHECK(std::filesystem::last_write_time(member.directory + "/member/etcdpp/data.lmdb") == time_before);

  const std::string path = member.directory + "/copy";
  std::filesystem::copy_file(member.directory + "/member/etcdpp/data.lmdb", path);
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  bytes[bytes.find("can be found")] = 'C';
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  auto damaged = backend::DatabaseFile::open(base::posix_env(), path);
  REQUIRE(damaged.has_value());
  const auto found = dump_meta(**damaged, Format::kText, out);
  REQUIRE(found.has_value());
  CHECK(found->bad_checksums == 1);

  // Cut behind the metas: nothing can be read, and what is known is shown all the same.
  std::filesystem::resize_file(path, 3 * 4096);
  damaged = backend::DatabaseFile::open(base::posix_env(), path);
  REQUIRE(damaged.has_value());
  std::ostringstream cut;
  const auto nothing = dump_meta(**damaged, Format::kText, cut);
  REQUIRE_FALSE(nothing.has_value());
  CHECK(nothing.error().message().find("truncated") != std::string::npos);
  CHECK(cut.str().find("truncated") != std::string::npos);
  CHECK(cut.str().find("page_size                 4096\n") != std::string::npos);
}

TEST_CASE("mvccdump: paths that hold no database say what they hold") {
  Member member;
  base::Env& env = base::posix_env();
  const std::string file = member.directory + "/member/etcdpp/data.lmdb";
  CHECK(find_database(env, member.directory).value() == file);
  CHECK(find_database(env, member.directory + "/member").value() == file);
  CHECK(find_database(env, file).value() == file);
  CHECK_FALSE(find_database(env, member.directory + "/absent").has_value());
  std::filesystem::create_directories(member.directory + "/other/member/snap");
  CHECK_FALSE(find_database(env, member.directory + "/other").has_value());
  std::ofstream(member.directory + "/other/member/snap/db") << "x";
  const auto bolt = find_database(env, member.directory + "/other");
  REQUIRE_FALSE(bolt.has_value());
  CHECK(bolt.error().message().find("bbolt") != std::string::npos);
}

}  // namespace etcdpp::mvccdump
