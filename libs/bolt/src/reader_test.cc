#include <etcdpp/bolt/reader.h>

#include <atomic>
#include <cstring>
#include <thread>

#include <etcdpp/bolt/errc.h>
#include <etcdpp/bolt/salvage.h>
#include <etcdpp/bolt/trailer.h>
#include <etcdpp/bolt/verify.h>

#include "bolt_testing.h"
#include "format.h"

namespace etcdpp::bolt {

namespace {

const std::string kSamples = "../shared/testdata/etcd";

bool has_samples() {
  if (std::filesystem::exists(kSamples)) return true;
  MESSAGE("SKIPPED: ", kSamples, " is not there; nothing of a real etcd's is read");
  return false;
}

// A file of a recorded data directory.
std::string unpack_database(const Folder& folder, const std::string& archive) {
  const std::string command = "tar xzf '" + kSamples + "/" + archive + "' -C '" + folder.path() + "'";
  REQUIRE(std::system(command.c_str()) == 0);
  return folder / "member/snap/db";
}

std::string hex_rows(const Rows& rows) {
  std::string out;
  for (const auto& [bucket, content] : rows) {
    out += "### bucket " + bucket + "\n";
    for (const auto& [key, value] : content) out += base::hex(key) + " " + base::hex(value) + "\n";
  }
  return out;
}

struct Salvaged {
  Rows rows;
  Rows outside;  // bucket "?" where none is known
  std::uint64_t strays = 0;  // rows
  SalvageReport report;
};

Salvaged salvage_all(const std::string& path) {
  Salvaged out;
  auto report = salvage(base::posix_env(), path, [&](const SalvagedRow& row) -> base::Result<> {
    const std::string bucket = row.bucket.empty() ? "?" : std::string(row.bucket);
    (row.in_tree ? out.rows : out.outside)[bucket].emplace(row.key, row.value);
    out.strays += row.stray;
    return {};
  });
  REQUIRE(report.has_value());
  out.report = std::move(*report);
  return out;
}

Verdict verdict_of(const std::string& path) {
  auto reader = Reader::open(base::posix_env(), path);
  if (!reader) {
    Verdict none;
    none.problem_count = 1;
    none.problems.push_back({0, 0, reader.error().message()});
    return none;
  }
  auto verdict = verify(**reader);
  REQUIRE(verdict.has_value());
  return std::move(*verdict);
}

void fix_checksum(std::string& bytes, std::size_t meta) {
  char* body = bytes.data() + meta * 4096 + kPageHead;
  store(body + 56, checksum({body, 56}));
}

}  // namespace

TEST_CASE("bolt: a recorded etcd's database has exactly the recorded rows") {
  if (!has_samples()) return;
  const Folder folder;
  const std::string db = unpack_database(folder, "a-datadir/datadir.tar.gz");
  const std::string before = slurp(db);
  auto read = read_database(db);
  REQUIRE(read.has_value());
  CHECK(hex_rows(*read) == slurp(kSamples + "/a-datadir/buckets-hex.txt"));
  const Verdict verdict = verdict_of(db);
  CHECK(verdict.whole());
  CHECK(verdict.buckets == 10);
  CHECK(slurp(db) == before);
  CHECK(salvage_all(db).rows == *read);

  // The snapshot was saved from that member a little later in the same history.
  const std::string snapshot = kSamples + "/b-snapshot/snap.db";
  CHECK(check_trailer(base::posix_env(), snapshot).value() == Trailer::kRight);
  CHECK(verdict_of(snapshot).whole());
  const auto saved = read_database(snapshot);
  REQUIRE(saved.has_value());
  CHECK(saved->at("key") == read->at("key"));
  CHECK(saved->size() == 10);
}

TEST_CASE("bolt: a recorded database with auth on and a downgrade under way is read") {
  if (!has_samples()) return;
  const Folder folder;
  const std::string db = unpack_database(folder, "a2-auth-downgrade/datadir.tar.gz");
  const auto read = read_database(db);
  REQUIRE(read.has_value());
  CHECK(read->at("auth").at("authEnabled") == std::string(1, '\1'));
  CHECK(read->at("authUsers").size() == 2);
  CHECK(verdict_of(db).whole());
  write_database(folder / "copy", *read);
  CHECK(read_database(folder / "copy").value() == *read);
}

TEST_CASE("bolt: a scan begins where it is told, and in no bucket finds nothing") {
  const Folder folder;
  const Rows rows = example_rows(3, 5000, 60);
  write_database(folder / "db", rows);
  const auto reader = Reader::open(base::posix_env(), folder / "db");
  REQUIRE(reader.has_value());
  const auto& keys = rows.at("key");
  base::Random random(5);
  for (int i = 0; i < 200; ++i) {
    auto expected = keys.begin();
    std::advance(expected, static_cast<long>(random.below(keys.size())));
    std::string from = expected->first;
    if (random.one_in(2)) {
      from += '\0';
      ++expected;
    }
    int seen = 0;
    const base::Error enough(std::make_error_code(std::errc::operation_canceled));
    const auto scanned = (*reader)->scan("key", from, [&](base::BytesView key, base::BytesView) -> base::Result<> {
      CHECK(key == expected->first);
      ++expected;
      if (++seen == 3) return enough;
      return {};
    });
    CHECK((scanned.has_value() || scanned.error().code == enough.code));
    CHECK((seen == 3 || expected == keys.end()));
  }
  CHECK((*reader)->scan("absent", {}, [](base::BytesView, base::BytesView) -> base::Result<> { return base::Error(Errc::kDamaged); }).has_value());
}

TEST_CASE("bolt: every page damaged in turn is named, and every row elsewhere is brought back") {
  const Folder folder;
  const Rows rows = example_rows(9, 2500, 120);
  const Plan plan = write_database(folder / "sound", rows);
  const std::string sound = slurp(folder / "sound");
  const std::string path = folder / "damaged";
  base::Random random(1);
  const auto& all = rows.at("key");
  std::uint64_t most_missing = 0;
  for (std::uint64_t page = 0; page < plan.pages; ++page) {
    CAPTURE(page);
    for (const int kind : {0, 1}) {
      std::string bytes = sound;
      if (kind == 0) {
        std::memset(bytes.data() + page * 4096, 0, 4096);
      } else {
        for (int i = 0; i < 4096; ++i) bytes[page * 4096 + static_cast<std::size_t>(i)] = static_cast<char>(random.next());
      }
      spill(path, bytes);
      const Verdict verdict = verdict_of(path);
      CHECK_FALSE(verdict.whole());
      bool named = false;
      for (const auto& problem : verdict.problems) named |= problem.page == page;
      CHECK(named);
      const Salvaged salvaged = salvage_all(path);
      Rows found = salvaged.rows;
      for (const auto& [bucket, content] : salvaged.outside)
        for (const auto& row : content)
          if (row.first.size() == 17) found["key"].insert(row);
      std::uint64_t missing = 0;
      for (const auto& row : all) {
        const auto there = found["key"].find(row.first);
        if (there == found["key"].end()) {
          ++missing;
        } else {
          CHECK(there->second == row.second);
        }
      }
      most_missing = std::max(most_missing, missing);
      // No more than one leaf's rows.
      CHECK(missing <= 4096 / 33);
      if (page < 2) {
        // The other meta stands for both.
        CHECK(missing == 0);
        CHECK(read_database(path).value() == rows);
      } else {
        CHECK_FALSE(read_database(path).has_value());
      }
    }
  }
  CHECK(most_missing > 10);
}

TEST_CASE("bolt: both metas lost, everything is found by its pages") {
  const Folder folder;
  for (const std::uint64_t page_size : {512u, 4096u, 16384u}) {
    const Rows rows = example_rows(10, 1500, 200);
    write_database(folder / "db", rows, page_size);
    std::string bytes = slurp(folder / "db");
    std::memset(bytes.data(), 0, 2 * page_size);
    spill(folder / "db", bytes);
    CHECK(read_database(folder / "db").error().code == Errc::kNotADatabase);
    const Salvaged salvaged = salvage_all(folder / "db");
    CHECK(salvaged.report.page_size == page_size);
    Rows found = salvaged.outside;
    CHECK(found["meta"] == rows.at("meta"));
    CHECK(found["key"] == rows.at("key"));
    std::filesystem::remove(folder / "db");
  }
}

TEST_CASE("bolt: cut off at each KiB, a file is read as far as it goes and named as cut") {
  const Folder folder;
  const Rows rows = example_rows(11, 900, 150);
  write_database(folder / "db", rows);
  const std::string whole = slurp(folder / "db");
  const std::string path = folder / "cut";
  std::size_t before = 0;
  for (std::size_t size = 0; size < whole.size(); size += 1024) {
    CAPTURE(size);
    spill(path, whole.substr(0, size));
    CHECK_FALSE(verdict_of(path).whole());
    CHECK_FALSE(read_database(path).has_value());
    const Salvaged salvaged = salvage_all(path);
    std::size_t found = 0;
    for (const Rows* some : {&salvaged.rows, &salvaged.outside})
      for (const auto& [bucket, content] : *some)
        for (const auto& [key, value] : content)
          if (const auto there = rows.at("key").find(key); there != rows.at("key").end()) {
            CHECK(there->second == value);
            ++found;
          }
    CHECK(found >= before);
    before = found;
  }
  CHECK(before == rows.at("key").size());
}

TEST_CASE("bolt: cycles, pages used twice and nonsense free lists end with their names") {
  const Folder folder;
  const Rows rows = example_rows(12, 30'000, 20);
  const Plan plan = write_database(folder / "sound", rows);
  const std::string sound = slurp(folder / "sound");
  const std::string path = folder / "db";
  const auto is = [&](std::uint64_t page, std::uint16_t flags) { return load<std::uint16_t>(sound.data() + page * 4096 + 8) == flags; };
  int branches = 0;
  for (std::uint64_t page = 2; page < plan.pages; ++page) {
    if (!is(page, kBranchPage)) continue;
    ++branches;
    const std::size_t count = load<std::uint16_t>(sound.data() + page * 4096 + 10);
    for (const std::size_t i : {std::size_t{0}, count / 2, count - 1}) {
      CAPTURE(page);
      CAPTURE(i);
      for (const std::uint64_t target : {page, plan.root, std::uint64_t{2}, std::uint64_t{0}, plan.pages, ~std::uint64_t{0}}) {
        std::string bytes = sound;
        char* child = bytes.data() + page * 4096 + kPageHead + kElementSize * i + 8;
        if (load<std::uint64_t>(child) == target) continue;
        CAPTURE(target);
        store(child, target);
        spill(path, bytes);
        CHECK_FALSE(verdict_of(path).whole());
        CHECK_FALSE(read_database(path).has_value());
        CHECK(salvage_all(path).report.lost_count > 0);
      }
    }
  }
  CHECK(branches > 2);

  // The meta's own numbers, with checksums that hold.
  struct Change {
    std::size_t at;
    std::uint64_t value;
    bool readable;
  };
  for (const Change& change : {Change{16, 0, false}, {16, 1, false}, {16, plan.pages, false}, {16, ~std::uint64_t{0}, false}, {32, 2, true}, {32, 1, true},
                               {32, plan.pages + 5, true}, {40, 0, false}, {40, 3, false}, {40, ~std::uint64_t{0}, true}, {40, std::uint64_t{1} << 60, true}}) {
    std::string bytes = sound;
    for (const std::size_t meta : {0, 1}) {
      store(bytes.data() + meta * 4096 + kPageHead + change.at, change.value);
      fix_checksum(bytes, meta);
    }
    CAPTURE(change.at);
    CAPTURE(change.value);
    spill(path, bytes);
    CHECK_FALSE(verdict_of(path).whole());
    CHECK(read_database(path).has_value() == change.readable);
    salvage_all(path);
  }

  // A free list page whose claims are nonsense: too many, out of order, pages in use, pages forgotten.
  for (const int kind : {0, 1, 2, 3, 4}) {
    std::string bytes = sound + std::string(3 * 4096, '\0');
    char* list = bytes.data() + plan.pages * 4096;
    store(list, plan.pages);
    store(list + 8, kFreeListPage);
    store(list + 10, std::uint16_t{2});
    store(list + 16, plan.pages + 1);
    store(list + 24, plan.pages + 2);
    if (kind == 1) store(list + 10, std::uint16_t{0xFFFE});
    if (kind == 2) store(list + 24, plan.pages + 1);
    if (kind == 3) store(list + 16, std::uint64_t{2});
    if (kind == 4) store(list + 10, kLongFreeList);
    for (const std::size_t meta : {0, 1}) {
      store(bytes.data() + meta * 4096 + kPageHead + 32, plan.pages);
      store(bytes.data() + meta * 4096 + kPageHead + 40, plan.pages + 3);
      fix_checksum(bytes, meta);
    }
    CAPTURE(kind);
    spill(path, bytes);
    const Verdict verdict = verdict_of(path);
    CHECK(verdict.whole() == (kind == 0));
    CHECK(read_database(path).value() == rows);
  }
}

TEST_CASE("bolt: a root that a lower page of its own tree has replaced is known by the free list") {
  const Folder folder;
  const Rows rows = example_rows(13, 3000, 60);
  const Plan plan = write_database(folder / "sound", rows);
  std::string bytes = slurp(folder / "sound");
  const auto page = [&](std::uint64_t number) { return bytes.data() + number * 4096; };
  // A free list with one page, which has a leaf of an older commit.
  const std::uint64_t list = plan.pages, free_page = plan.pages + 1;
  bytes += std::string(4096, '\0');
  bytes += std::string(page(2), 4096);
  store(page(list), list);
  store(page(list) + 8, kFreeListPage);
  store(page(list) + 10, std::uint16_t{1});
  store(page(list) + 16, free_page);
  store(page(free_page), free_page);
  for (const std::size_t meta : {0, 1}) {
    store(page(meta) + kPageHead + 32, list);
    store(page(meta) + kPageHead + 40, plan.pages + 2);
    fix_checksum(bytes, meta);
  }
  const std::string path = folder / "db";
  spill(path, bytes);
  CHECK(verdict_of(path).whole());
  const Salvaged sound = salvage_all(path);
  CHECK(sound.report.lost_count + sound.report.stray_count == 0);
  CHECK(sound.rows.at("key") == rows.at("key"));
  CHECK(sound.outside.empty());

  char* root = nullptr;
  for (std::size_t i = 0; i < load<std::uint16_t>(page(plan.root) + 10); ++i) {
    char* element = page(plan.root) + kPageHead + kElementSize * i;
    char* key = element + load<std::uint32_t>(element + 4);
    if (std::string_view(key, load<std::uint32_t>(element + 8)) == "key") root = key + 3;
  }
  REQUIRE(root != nullptr);
  const std::uint64_t tree = load<std::uint64_t>(root);
  REQUIRE(load<std::uint16_t>(page(tree) + 8) == kBranchPage);
  for (std::uint64_t leaf = 2; leaf < plan.pages; ++leaf) {
    if (load<std::uint16_t>(page(leaf) + 8) != kLeafPage || leaf == plan.root) continue;
    CAPTURE(leaf);
    store(root, leaf);
    spill(path, bytes);
    CHECK_FALSE(verdict_of(path).whole());
    Salvaged salvaged = salvage_all(path);
    CHECK(salvaged.report.stray_count > 20);
    CHECK(salvaged.report.strays.size() == salvaged.report.stray_count);
    for (const Problem& stray : salvaged.report.strays) CHECK(stray.page != free_page);
    CHECK(salvaged.strays + salvaged.rows.at("key").size() == rows.at("key").size());
    for (const auto& [bucket, content] : salvaged.outside) salvaged.rows["key"].insert(content.begin(), content.end());
    CHECK(salvaged.rows.at("key") == rows.at("key"));
    CHECK(salvaged.rows.at("meta") == rows.at("meta"));
  }
}

TEST_CASE("bolt: a file that changes while it is read yields rows of whole commits") {
  const Folder folder;
  const std::string path = folder / "db";
  // Two states in turn, written as bbolt does: pages elsewhere, then the meta of the next transaction.
  const Rows first = example_rows(20, 6000, 50);
  Rows second = first;
  for (auto& [key, value] : second["key"]) value = "second" + value;
  write_database(folder / "a", first);
  write_database(folder / "b", second);
  std::string a = slurp(folder / "a"), b = slurp(folder / "b");
  const std::uint64_t pages_a = a.size() / 4096, pages_b = b.size() / 4096;
  // The second one's pages stand behind those of the first: move every reference.
  for (std::uint64_t page = 2; page < pages_b; ++page) {
    char* at = b.data() + page * 4096;
    if (load<std::uint16_t>(at + 8) != kBranchPage && load<std::uint16_t>(at + 8) != kLeafPage) continue;
    store(at, load<std::uint64_t>(at) + pages_a);
    const std::size_t count = load<std::uint16_t>(at + 10);
    for (std::size_t i = 0; i < count; ++i) {
      char* element = at + kPageHead + kElementSize * i;
      if (load<std::uint16_t>(at + 8) == kBranchPage) {
        store(element + 8, load<std::uint64_t>(element + 8) + pages_a);
      } else if (load<std::uint32_t>(element) & kBucketElement) {
        char* root = element + load<std::uint32_t>(element + 4) + load<std::uint32_t>(element + 8);
        if (load<std::uint64_t>(root) != 0) store(root, load<std::uint64_t>(root) + pages_a);
      }
    }
  }
  const std::uint64_t root_a = load<std::uint64_t>(a.data() + kPageHead + 16), root_b = load<std::uint64_t>(b.data() + kPageHead + 16) + pages_a;
  std::string file = a + b;
  const auto meta = [&](std::uint64_t transaction) {
    const std::string pages = meta_pages({.page_size = 4096, .root = transaction % 2 ? root_b : root_a, .pages = pages_a + pages_b, .rows = 0});
    std::string page = pages.substr(0, 4096);
    store(page.data(), transaction % 2);
    store(page.data() + kPageHead + 48, transaction);
    store(page.data() + kPageHead + 56, checksum({page.data() + kPageHead, 56}));
    return page;
  };
  file.replace(0, 4096, meta(2));
  file.replace(4096, 4096, meta(1));
  spill(path, file);
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    auto out = base::posix_env().open(path, base::OpenMode::kReadWrite);
    for (std::uint64_t transaction = 3; !stop; ++transaction) {
      static_cast<void>((*out)->write_at(transaction % 2 * 4096, meta(transaction)));
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
  });
  int read = 0;
  for (int i = 0; i < 40; ++i) {
    const auto reader = Reader::open(base::posix_env(), path);
    if (!reader) continue;
    std::size_t rows = 0;
    std::string last;
    const auto scanned = (*reader)->scan("key", {}, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
      CHECK(key > last);
      last = key;
      CHECK((value == first.at("key").at(last) || value == second.at("key").at(last)));
      ++rows;
      return {};
    });
    if (scanned) {
      CHECK(rows == 6000);
      ++read;
    } else {
      CHECK(scanned.error().code == Errc::kBusy);
    }
  }
  stop = true;
  writer.join();
  MESSAGE(read, " of 40 scans ended");
}

}  // namespace etcdpp::bolt
