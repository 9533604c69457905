#include <etcdpp/backend/salvage.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <map>

#include <etcdpp/base/random.h>

#include "backend_testing.h"

namespace etcdpp::backend {

namespace {

using namespace std::string_literals;
using Found = std::map<std::pair<Bucket, std::string>, std::string>;

struct Salvaged {
  Found in_tree;
  Found outside;
  SalvageReport report;
};

Salvaged salvage_all(const std::string& path) {
  Salvaged out;
  auto report = salvage(base::posix_env(), path, [&](const SalvagedRow& row) -> base::Result<> {
    (row.in_tree ? out.in_tree : out.outside).emplace(std::pair(row.bucket, std::string(row.key)), row.value);
    return {};
  });
  REQUIRE(report.has_value());
  out.report = std::move(*report);
  return out;
}

}  // namespace

TEST_CASE("salvage: a sound file gives exactly its rows, each page lost in turn costs no more than its own") {
  TestDirectory directory;
  Found all;
  {
    auto backend = open_backend(test_options(directory));
    base::Random random(3);
    for (std::uint64_t main = 2; main < 700; ++main) {
      const std::string key(row_key(main)), value(random.one_in(20) ? 6000 : random.below(300), static_cast<char>('a' + main % 26));
      backend->buffer().append_row(key, value);
      all[{Bucket::kKey, key}] = value;
      if (main % 100 == 0) commit_all(*backend);
    }
    for (int i = 0; i < 60; ++i) {
      const std::string key = std::to_string(i) + std::string(i % 3 == 0 ? 600 : 5, 'k');
      backend->buffer().put(Bucket::kLease, key, "lease");
      all[{Bucket::kLease, key}] = "lease";
    }
    commit_all(*backend);
  }
  const std::string sound = read_file(directory.database());
  const std::string path = directory.database() + ".damaged";
  const auto write = [&](const std::string& bytes) { std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes; };
  write(sound);
  Salvaged salvaged = salvage_all(path);
  CHECK(salvaged.in_tree == all);
  CHECK(salvaged.outside.empty());
  CHECK(salvaged.report.loss_count == 0);

  const auto write_page = [&](std::size_t page, std::string_view bytes) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(page * 4096));
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  };
  // Behind the last byte there is only room made in advance.
  const std::size_t pages = sound.find_last_not_of('\0') / 4096 + 1;
  std::size_t most_missing = 0;
  for (std::size_t page = 0; page < pages; ++page) {
    CAPTURE(page);
    write_page(page, std::string(4096, '\0'));
    salvaged = salvage_all(path);
    write_page(page, std::string_view(sound).substr(page * 4096, 4096));
    std::size_t missing = 0;
    for (const auto& [row, value] : all) {
      const auto there = salvaged.in_tree.find(row);
      const auto outside = salvaged.outside.find(row);
      if (there != salvaged.in_tree.end()) {
        CHECK(there->second == value);
      } else if (outside != salvaged.outside.end() && salvaged.report.may_have_lost(row.first, row.second)) {
        CHECK(outside->second == value);
      } else {
        ++missing;
      }
    }
    CHECK(missing <= 4096 / 30);
    most_missing = std::max(most_missing, missing);
  }
  CHECK(most_missing > 5);

  // The record of tree `key` names one of its leaves, and a depth that fits: only its number of rows tells.
  std::string bytes = sound;
  const std::size_t leaf = sound.rfind(row_key(2)) / 4096;
  std::size_t records = 0;
  for (std::size_t at = bytes.find("\2\0\3\0key"s); at != std::string::npos; at = bytes.find("\2\0\3\0key"s, at + 1)) {
    ++records;
    bytes[at + 7 + 6] = 1;
    base::put_le64(bytes.data() + at + 7 + 40, leaf);
  }
  CHECK(records > 0);
  write(bytes);
  salvaged = salvage_all(path);
  CHECK(salvaged.report.loss_count > 0);
  for (const auto& [row, value] : all) {
    if (const auto there = salvaged.in_tree.find(row); there != salvaged.in_tree.end()) continue;
    CHECK(salvaged.report.may_have_lost(row.first, row.second));
    CHECK(salvaged.outside.at(row) == value);
  }

  bytes = sound;
  std::memset(bytes.data(), 0, 2 * 4096);
  write(bytes);
  salvaged = salvage_all(path);
  for (const auto& [row, value] : all) CHECK(salvaged.outside.at(row) == value);
  for (std::size_t size = 0; size < (pages + 8) * 4096; size += 16 * 1024) {
    write(sound.substr(0, size));
    salvage_all(path);
  }
}

}  // namespace etcdpp::backend
