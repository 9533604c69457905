#include <etcdpp/backend/page_reader.h>

#include <fstream>
#include <iterator>

#include <etcdpp/backend/database_file.h>
#include <etcdpp/base/random.h>

#include "backend_testing.h"
#include "row_parts.h"

namespace etcdpp::backend {

namespace {

void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Rows of all sizes, several commits with deletions in between, so that there are branches, overflow pages and a free list.
void fill(Backend& backend) {
  base::Random random(7);
  std::uint64_t main = 1;
  for (int commit = 0; commit < 12; ++commit) {
    for (int i = 0; i < 150; ++i)
      backend.buffer().append_row(row_key(++main), std::string(random.one_in(10) ? random.below(9000) : random.below(400), 'v'));
    for (int i = 0; i < 20; ++i) backend.buffer().put(Bucket::kLease, std::to_string(random.below(500)), std::string(random.below(900), 'l'));
    backend.buffer().set_applied(main, 1);
    commit_all(backend);
  }
}

// Rows of tree `key` from `first` on, put together.
Rows scan(PageReader& reader, base::BytesView first) {
  Rows out;
  RowJoin join;
  auto scanned = reader.scan("key", first, [&](base::BytesView key, base::BytesView stored) -> base::Result<> {
    const auto taken = join.take(key, stored);
    REQUIRE(taken != RowJoin::Taken::kWrong);
    if (taken == RowJoin::Taken::kRow) out.emplace_back(join.key(), join.value());
    return {};
  });
  if (!scanned) FAIL(scanned.error().message());
  return out;
}

}  // namespace

TEST_CASE("page reader: reads what LMDB wrote, from any row on") {
  TestDirectory directory;
  {
    auto backend = open_backend(test_options(directory));
    fill(*backend);
    auto reader = PageReader::open(base::posix_env(), directory.database());
    REQUIRE(reader.has_value());
    CHECK((*reader)->both_metas());
    auto verified = (*reader)->verify();
    if (!verified) FAIL(verified.error().message());
    const Rows expected = rows_of(*backend, Bucket::kKey);
    CHECK(scan(**reader, {}) == expected);
    for (std::uint64_t first = 0; first < 1900; first += 17) {
      const Rows found = scan(**reader, row_key(first));
      const auto from = std::lower_bound(expected.begin(), expected.end(), std::pair(row_key(first), std::string()));
      CHECK(found.size() == static_cast<std::size_t>(expected.end() - from));
      if (from != expected.end()) CHECK(found.at(0).first == from->first);
    }
    CHECK(scan(**reader, "no such tree").empty());
  }
}

TEST_CASE("backend: what open hands on are the rows that a scan finds, parts joined, and what is refused there it refuses") {
  TestDirectory directory;
  Rows seen;
  const RowVisitor see = [&](base::BytesView key, base::BytesView value) -> base::Result<> {
    seen.emplace_back(key, value);
    return {};
  };
  REQUIRE(Backend::open(test_options(directory), see).has_value());
  CHECK(seen.empty());
  {
    auto backend = open_backend(test_options(directory));
    fill(*backend);
  }
  {
    auto backend = Backend::open(test_options(directory), see);
    REQUIRE(backend.has_value());
    CHECK(seen.size() == 1800);
    CHECK(seen == rows_of(**backend, Bucket::kKey));
  }
  std::size_t taken = 0;
  const RowVisitor refuse = [&](base::BytesView, base::BytesView) -> base::Result<> {
    if (++taken < 1000) return {};
    return base::Error(Errc::kCorrupt, "not this one");
  };
  auto refused = Backend::open(test_options(directory), refuse);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().context == "not this one");
  CHECK(taken == 1000);
  // Whose database it is comes first.
  Options other = test_options(directory);
  other.member_id = 0xa2;
  taken = 0;
  refused = Backend::open(other, refuse);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == Errc::kOtherMember);
}

TEST_CASE("database file: buckets as the backend has them, a damaged row marked") {
  TestDirectory directory;
  std::map<Bucket, Rows> expected;
  {
    auto backend = open_backend(test_options(directory));
    backend->buffer().append_row(row_key(2), "a row of bucket key");
    backend->buffer().append_row(row_key(3), "another row");
    for (const char* key : {"b", "a", "zz"}) backend->buffer().put(Bucket::kAuthUsers, key, std::string("user ") + key);
    backend->buffer().put(Bucket::kAuthUsers, std::string(500, 'm'), "user m");
    backend->buffer().put(Bucket::kAuth, "authEnabled", "1");
    backend->buffer().put(Bucket::kAuthRoles, "role", "r");
    backend->buffer().set_applied(3, 1);
    commit_all(*backend);
    for (const Bucket bucket : kBuckets) expected[bucket] = rows_of(*backend, bucket);
  }
  auto damage = [&](std::string_view text) {
    std::string bytes = read_file(directory.database());
    for (std::size_t at = 0; (at = bytes.find(text, at)) != std::string::npos; ++at) bytes[at] ^= 1;
    write_file(directory.database(), bytes);
  };
  auto check = [&](std::size_t wrong_rows) {
    auto file = DatabaseFile::open(base::posix_env(), directory.database());
    REQUIRE(file.has_value());
    CHECK((*file)->identity()->member_id == 0xa1);
    CHECK((*file)->identity()->format_version == kFormatVersion);
    std::size_t wrong = 0;
    for (const Bucket bucket : kBuckets) {
      Rows found;
      REQUIRE((*file)->scan_bucket(bucket, [&](const DatabaseFile::FileRow& row) -> base::Result<> {
        found.emplace_back(row.key, row.value);
        if (!row.intact) ++wrong;
        return {};
      }).has_value());
      CHECK(found.size() == expected[bucket].size());
      if (wrong_rows == 0) CHECK(found == expected[bucket]);
    }
    CHECK(wrong == wrong_rows);
  };
  check(0);
  damage("another row");
  check(1);
  damage("user zz");
  check(2);
}

TEST_CASE("page reader: follows a member that goes on writing, each row once and in order") {
  TestDirectory directory;
  auto backend = open_backend(test_options(directory));
  // More rows than one chunk holds; the member overwrites freed pages while they are handed out.
  std::uint64_t main = 0;
  auto commit_some = [&](std::uint64_t rows) {
    for (const std::uint64_t last = main + rows; main < last;) {
      ++main;
      backend->buffer().append_row(row_key(main), std::to_string(main));
    }
    backend->buffer().put(Bucket::kLease, "changing", std::to_string(main));
    backend->buffer().set_applied(main, 1);
    commit_all(*backend);
  };
  commit_some(20'000);
  auto reader = PageReader::open(base::posix_env(), directory.database());
  REQUIRE(reader.has_value());
  std::uint64_t expected = 0;
  auto scanned = (*reader)->scan("key", {}, [&](base::BytesView key, base::BytesView stored) -> base::Result<> {
    ++expected;
    if (key != row_key(expected) || stored.substr(0, stored.size() - 5) != std::to_string(expected))
      return base::Error(Errc::kCorrupt, std::to_string(expected));
    if (expected % 1000 == 0 && expected <= 20'000) commit_some(10);
    return {};
  });
  if (!scanned) FAIL(scanned.error().message());
  CHECK(expected > 20'000);
  CHECK(expected <= main);
}

TEST_CASE("page reader: no single wrong byte or cut gets past it into a crash") {
  TestDirectory directory;
  {
    auto backend = open_backend(test_options(directory));
    fill(*backend);
  }
  const std::string path = directory.path() + "/damaged";
  const std::string whole = read_file(directory.database());
  auto reader = PageReader::open(base::posix_env(), directory.database());
  REQUIRE(reader.has_value());
  const std::uint64_t pages = (*reader)->pages();
  const std::uint64_t size = (*reader)->page_size();
  std::size_t found = 0, tried = 0;
  auto try_open = [&] {
    ++tried;
    auto damaged = PageReader::open(base::posix_env(), path);
    if (!damaged) {
      ++found;
      return;
    }
    if (!(*damaged)->both_metas() || !(*damaged)->verify()) ++found;
    (void)(*damaged)->scan("key", {}, [](base::BytesView, base::BytesView) -> base::Result<> { return {}; });
  };
  base::Random random(11);
  std::fstream file;
  write_file(path, whole);
  for (std::uint64_t page = 0; page < pages; ++page) {
    // The heads, where structure is, and somewhere in the rest.
    for (int i = 0; i < 3; ++i) {
      const std::uint64_t in_page = i < 2 ? random.below(32) : random.below(size);
      const std::uint64_t at = page * size + in_page;
      const char changed = static_cast<char>(whole[at] ^ static_cast<char>(1u << random.below(8)));
      file.open(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(at));
      file.put(changed);
      file.close();
      try_open();
      file.open(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(at));
      file.put(whole[at]);
      file.close();
    }
  }
  CHECK(found > tried / 4);
  for (std::uint64_t cut = 0; cut < pages; cut += 7) {
    write_file(path, std::string_view(whole).substr(0, cut * size + random.below(size)));
    try_open();
  }
  write_file(path, whole);
  const std::size_t before = found;
  try_open();
  CHECK(found == before);  // and the whole one is fine
}

TEST_CASE("page reader: cycles and claims of huge sizes end in an error") {
  TestDirectory directory;
  {
    auto backend = open_backend(test_options(directory));
    for (std::uint64_t i = 1; i < 3000; ++i) backend->buffer().append_row(row_key(i), std::string(200, 'v'));
    backend->buffer().append_row(row_key(3000), std::string(50'000, 'v'));
    commit_all(*backend);
  }
  std::string bytes = read_file(directory.database());
  const std::string path = directory.path() + "/damaged";
  constexpr std::size_t kPage = 4096;
  auto load16 = [&](std::size_t at) {
    std::uint16_t v;
    std::memcpy(&v, bytes.data() + at, 2);
    return v;
  };
  SUBCASE("a branch that points to itself") {
    for (std::size_t page = 2; page * kPage < bytes.size(); ++page) {
      const std::size_t at = page * kPage;
      if (base::get_le64(bytes.data() + at) != page || load16(at + 10) != 1) continue;
      const std::size_t node = at + load16(at + 16);
      const std::uint16_t low = static_cast<std::uint16_t>(page);
      std::memcpy(bytes.data() + node, &low, 2);
    }
  }
  SUBCASE("a row that claims four gigabytes") {
    bool done = false;
    for (std::size_t page = 2; page * kPage < bytes.size(); ++page) {
      const std::size_t at = page * kPage;
      if (base::get_le64(bytes.data() + at) != page || load16(at + 10) != 2) continue;
      for (std::size_t i = 0; i < (load16(at + 12) - 16u) / 2; ++i) {
        const std::size_t node = at + load16(at + 16 + 2 * i);
        if (!(load16(node + 4) & 1)) continue;
        std::memset(bytes.data() + node, 0xff, 4);
        done = true;
      }
    }
    REQUIRE(done);
  }
  write_file(path, bytes);
  auto reader = PageReader::open(base::posix_env(), path);
  REQUIRE(reader.has_value());
  CHECK_FALSE((*reader)->verify().has_value());
  CHECK_FALSE((*reader)->scan("key", {}, [](base::BytesView, base::BytesView) -> base::Result<> { return {}; }).has_value());
}

}  // namespace etcdpp::backend
