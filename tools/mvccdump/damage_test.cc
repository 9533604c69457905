// Each page of a small database of each kind damaged in turn, and files cut off: no command ends otherwise than with an
// answer, verify names it, and salvage brings back what stands on the other pages.

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include <etcdpp/mvcc/compaction.h>

#include "mvccdump_testing.h"

namespace etcdpp::mvccdump {

namespace {

using Rows = std::map<std::pair<std::string, std::string>, std::string>;

Rows rows_of(const Answer& buckets) {
  Rows rows;
  for (const auto& line : buckets.lines()) rows[{line["bucket"], line["key"]}] = line["value"];
  return rows;
}

void fill(Member& member) {
  base::Random random(4);
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> alive;
  for (std::int64_t main = 2; main < 500; ++main) {
    const std::string key = "key" + std::to_string(random.below(60));
    if (alive.contains(key) && random.one_in(5)) {
      member.tombstone(main, key);
      alive.erase(key);
    } else {
      auto& [created, version] = alive.try_emplace(key, main, 0).first->second;
      member.put(main, key, created, ++version, std::string(random.one_in(30) ? 5000 : random.below(200), 'v'));
    }
  }
  member.put_row(Bucket::kMeta, "consistent_index", std::string("\0\0\0\0\0\0\2\1", 8));
  member.put_row(Bucket::kMeta, "term", std::string("\0\0\0\0\0\0\0\2", 8));
  member.put_row(Bucket::kMeta, "confState", R"({"voters":[161],"auto_leave":false})");
  member.put_row(Bucket::kCluster, "clusterVersion", "3.7.0");
  member.put_row(Bucket::kMembers, "a1", R"({"id":161,"peerURLs":["http://127.0.0.1:2380"],"name":"a"})");
  for (char i = 1; i <= 20; ++i) member.put_row(Bucket::kLease, std::string(7, '\0') + i, std::string("\x08") + i + "\x10\x3c");
  member.commit();
}

/// A member's database, and its export as a bbolt file.
struct BothKinds {
  Member member;
  Folder folder;
  const std::string bolt = folder / "bolt";

  BothKinds() {
    fill(member);
    Options options = at(member.folder.path());
    options.bbolt = bolt;
    REQUIRE(run(export_command, options).code() == Exit::kFine);
  }
};

void run_all(const std::string& path) {
  Options options = at(path);
  options.key = "key1";
  options.other = path;
  for (const auto& command : {buckets_command, revisions_command, keys_command, get_command, ls_command, history_command, diff_command, leases_command,
                              auth_command, members_command, meta_command, stats_command, hash_command, verify_command, export_command})
    run(command, options);
}

}  // namespace

TEST_CASE("mvccdump: every page damaged in turn, of both kinds of database") {
  const BothKinds kinds;
  const Folder& folder = kinds.folder;
  const Rows all = rows_of(run(buckets_command, at(kinds.member.folder.path())));
  CHECK(rows_of(run(buckets_command, at(kinds.bolt))) == all);

  for (const std::string& original : {kinds.bolt, kinds.member.file()}) {
    CHECK(run(verify_command, at(original)).code() == Exit::kFine);
    const std::string sound = slurp(original);
    const bool own = original == kinds.member.file();
    // Behind the last page there is only room.
    const std::size_t pages = run(meta_command, at(original)).lines()[0]["pages"];
    std::size_t most_missing = 0, found_by_verify = 0;
    for (std::size_t page = 0; page < pages; ++page) {
      CAPTURE(original);
      CAPTURE(page);
      std::string bytes = sound;
      const std::string before = bytes.substr(page * 4096, 4096);
      std::memset(bytes.data() + page * 4096, 0, 4096);
      const std::string path = folder / "damaged";
      spill_bytes(path, bytes);
      const Answer verdict = run(verify_command, at(path));
      // A page that is free may hold anything.
      const bool found = verdict.code() != Exit::kFine;
      found_by_verify += found;
      if (!own) CHECK(found);
      if (page % 4 == 0) run_all(path);

      Options salvage = at(path);
      salvage.other = folder / "salvaged";
      const Answer answer = run(salvage_command, salvage);
      REQUIRE(answer.exit.has_value());
      if (!found) CHECK(answer.code() == Exit::kFine);
      const Rows back = rows_of(run(buckets_command, at(salvage.other)));
      std::size_t missing = 0;
      for (const auto& [row, value] : all) {
        const auto there = back.find(row);
        if (there == back.end()) {
          ++missing;
        } else {
          // bbolt has no checksums: what a value held on an overflow page is not known to be lost.
          CHECK((there->second == value || (!own && value.size() > 2 * 4000)));
        }
      }
      CHECK(back.size() + missing == all.size());
      // What one page held, or a value that began there.
      CHECK(missing < 130);
      most_missing = std::max(most_missing, missing);
      CHECK(answer.damage() == (answer.code() == Exit::kDamage));
      if (missing > 0) CHECK(answer.code() == Exit::kDamage);
      std::filesystem::remove(salvage.other);
      CHECK(slurp(path) == bytes);
    }
    CHECK(most_missing > 5);
    CHECK(found_by_verify > 20);
    MESSAGE(std::string(own ? "ours: " : "bbolt: "), pages, " pages, ", found_by_verify, " in use, at most ", most_missing, " of ", all.size(), " rows lost with one");
  }
}

TEST_CASE("mvccdump: every page replaced by another one or by noise, of both kinds of database") {
  const BothKinds kinds;
  const Folder& folder = kinds.folder;
  const Rows all = rows_of(run(buckets_command, at(kinds.member.folder.path())));
  base::Random random(9);
  for (const std::string& original : {kinds.bolt, kinds.member.file()}) {
    const std::string sound = slurp(original);
    const bool own = original == kinds.member.file();
    const std::size_t pages = run(meta_command, at(original)).lines()[0]["pages"];
    std::size_t named = 0;
    for (std::size_t page = 0; page < pages; ++page) {
      for (const std::string kind : {"another page", "another page under its number", "noise", "other numbers"}) {
        CAPTURE(original);
        CAPTURE(page);
        CAPTURE(kind);
        std::string bytes = sound;
        char* at_page = bytes.data() + page * 4096;
        if (kind == "noise") {
          for (std::size_t i = 0; i < 4096; ++i) at_page[i] = static_cast<char>(random.next());
        } else if (kind == "other numbers") {
          // A branch that leads to itself or to what others lead to; in a leaf, sizes and places.
          for (std::size_t i = 16; i < 64; i += 8) base::put_be64(at_page + i, __builtin_bswap64(random.below(pages + 1)));
        } else {
          std::memcpy(at_page, sound.data() + random.below(pages) * 4096, 4096);
          if (kind == "another page under its number") base::put_be64(at_page, __builtin_bswap64(page));
        }
        if (bytes == sound) continue;
        const std::string path = folder / "damaged";
        spill_bytes(path, bytes);
        const Answer verdict = run(verify_command, at(path));
        named += verdict.code() != Exit::kFine;
        if (page % 16 == 0) run_all(path);
        Options salvage = at(path);
        salvage.other = folder / "salvaged";
        const Answer answer = run(salvage_command, salvage);
        REQUIRE(answer.exit.has_value());
        const Rows back = rows_of(run(buckets_command, at(salvage.other)));
        std::size_t missing = 0;
        for (const auto& [row, value] : all) {
          const auto there = back.find(row);
          if (there == back.end()) ++missing;
          // A row of ours is whole or absent.
          else if (own) CHECK(there->second == value);
        }
        CHECK(missing < 130);
        if (missing > 0) CHECK(answer.code() == Exit::kDamage);
        if (own) CHECK(back.size() + missing == all.size());
        std::filesystem::remove(salvage.other);
        CHECK(slurp(path) == bytes);
      }
    }
    CHECK(named > pages);
    MESSAGE(std::string(own ? "ours: " : "bbolt: "), pages, " pages, ", 4 * pages, " replacements, ", named, " named");
  }
}

TEST_CASE("mvccdump: the root of a bbolt file's bucket key replaced by each leaf of its own") {
  const auto number_at = [](const std::string& bytes, std::size_t at) { return __builtin_bswap64(base::get_be64(bytes.data() + at)); };
  for (const bool compacted : {false, true}) {
    CAPTURE(compacted);
    Member member;
    if (compacted) {
      // What a compaction at the newest revision leaves.
      for (std::int64_t main = 4; main <= 499; main += 3) member.put(main, "key" + std::to_string(main), main, 1, std::string(200, 'v'));
      member.put_row(Bucket::kMeta, mvcc::kScheduledCompactRevKey, mvcc::RowKeyBytes({499, 0}, false));
      member.put_row(Bucket::kMeta, mvcc::kFinishedCompactRevKey, mvcc::RowKeyBytes({499, 0}, false));
      member.commit();
    } else {
      fill(member);
    }
    const Folder folder;
    Options options = at(member.folder.path());
    options.bbolt = folder / "bolt";
    REQUIRE(run(export_command, options).code() == Exit::kFine);
    const Rows all = rows_of(run(buckets_command, at(options.bbolt)));
    const std::string sound = slurp(options.bbolt);

    // Behind the bucket's name among the buckets stands its root.
    const std::size_t list = number_at(sound, 32) * 4096;
    std::size_t root = 0;
    for (std::size_t i = 0; i < (number_at(sound, list + 8) >> 16 & 0xffff); ++i) {
      const std::size_t element = list + 16 + 16 * i, key = element + (number_at(sound, element) >> 32);
      if (sound.compare(key, (number_at(sound, element + 8) & 0xffffffff), "key") == 0) root = key + 3;
    }
    REQUIRE(root != 0);
    std::size_t tried = 0;
    for (std::size_t page = 2; page < sound.size() / 4096; ++page) {
      const std::size_t begin = page * 4096, first_key = begin + 16 + (number_at(sound, begin + 16) >> 32);
      const bool is_leaf = number_at(sound, begin) == page && (number_at(sound, begin + 8) & 0xffff) == 2;
      if (!is_leaf || (number_at(sound, begin + 24) & 0xffffffff) != 17) continue;
      const std::int64_t first = static_cast<std::int64_t>(base::get_be64(sound.data() + first_key));
      // Where compaction has been, nothing says that there was more in front.
      if (compacted && first != 4) continue;
      CAPTURE(page);
      CAPTURE(first);
      ++tried;
      std::string bytes = sound;
      base::put_be64(bytes.data() + root, __builtin_bswap64(page));
      spill_bytes(folder / "damaged", bytes);
      Options salvage = at(folder / "damaged");
      salvage.other = folder / "salvaged";
      CHECK(run(salvage_command, salvage).code() == Exit::kDamage);
      CHECK(rows_of(run(buckets_command, at(salvage.other))) == all);
      std::filesystem::remove(salvage.other);
    }
    CHECK(tried >= (compacted ? 1 : 20));

    Options salvage = at(options.bbolt);
    salvage.other = folder / "salvaged";
    CHECK(run(salvage_command, salvage).code() == Exit::kFine);
    CHECK(rows_of(run(buckets_command, at(salvage.other))) == all);
  }
}

TEST_CASE("mvccdump: cut off at every few KiB, of both kinds of database") {
  const BothKinds kinds;
  const Folder& folder = kinds.folder;
  for (const std::string& original : {kinds.bolt, kinds.member.file()}) {
    const std::string sound = slurp(original);
    const std::size_t pages = run(meta_command, at(original)).lines()[0]["pages"];
    // Every KiB where it matters most, then every five.
    for (std::size_t size = 0; size < pages * 4096; size += size < 24'576 ? 1024 : 5120) {
      CAPTURE(size);
      const std::string path = folder / "cut";
      spill_bytes(path, sound.substr(0, size));
      run_all(path);
      if (original != kinds.member.file()) CHECK(run(verify_command, at(path)).code() != Exit::kFine);
      Options salvage = at(path);
      salvage.other = folder / "salvaged";
      run(salvage_command, salvage);
      std::filesystem::remove(salvage.other);
    }
  }
}

TEST_CASE("mvccdump: a member that is being written to is read while it goes on") {
  Member member;
  fill(member);
  for (std::int64_t main = 1000; main < 1030; ++main) {
    member.put(main, "live", 1000, main - 999, "v" + std::to_string(main));
    member.commit();
    Options options = at(member.folder.path());
    options.key = "live";
    CHECK(run(get_command, options).lines().at(0)["mod_revision"] == main);
    CHECK(run(verify_command, at(member.folder.path())).code() == Exit::kFine);
  }
}

TEST_CASE("mvccdump: an export of a member that goes on is of one commit") {
  Member member;
  fill(member);
  std::atomic<bool> over = false;
  std::thread writer([&] {
    for (std::int64_t main = 1000; !over; ++main) {
      member.put(main, "live" + std::to_string(main), main, 1, std::string(3000, 'v'));
      member.backend->buffer().set_applied(static_cast<std::uint64_t>(main), 2);
      member.commit();
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
  });
  const Folder folder;
  int done = 0;
  for (int i = 0; i < 12; ++i) {
    Options options = at(member.folder.path());
    options.bbolt = folder / std::to_string(i);
    const Answer answer = run(export_command, options);
    // On a machine that does nothing else for once, each try may be overtaken.
    if (answer.code() == Exit::kNoVerdict) continue;
    REQUIRE(answer.code() == Exit::kFine);
    ++done;
    CHECK(run(verify_command, at(options.bbolt)).code() == Exit::kFine);
    const auto meta = run(meta_command, at(options.bbolt)).lines().at(0);
    // Before the first of these entries it is what fill() left.
    if (meta["revision"] >= 1000) CHECK(meta["consistent_index"] == meta["revision"]);
  }
  over = true;
  writer.join();
  CHECK(done > 0);
}

}  // namespace etcdpp::mvccdump
