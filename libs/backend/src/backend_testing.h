#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <etcdpp/backend/backend.h>

namespace etcdpp::backend {

/// A directory of its own for a test, gone with it.
class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "etcdpp-backend-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TestDirectory() { std::filesystem::remove_all(path_); }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  const std::string& path() const { return path_; }
  std::string database() const { return path_ + "/member/etcdpp/data.lmdb"; }

 private:
  std::string path_;
};

inline base::SystemClock& system_clock() {
  static base::SystemClock clock;
  return clock;
}

inline Options test_options(const TestDirectory& directory, const base::Clock& clock = system_clock()) {
  Options options;
  options.data_dir = directory.path();
  options.env = &base::posix_env();
  options.clock = &clock;
  options.logger = &base::null_logger();
  options.cluster_id = 0xc1;
  options.member_id = 0xa1;
  return options;
}

inline std::unique_ptr<Backend> open_backend(const Options& options) {
  auto opened = Backend::open(options);
  if (!opened) FAIL("open: " << opened.error().message());
  return std::move(*opened);
}

/// Revision bytes: main, '_', sub.
inline std::string row_key(std::uint64_t main, std::uint64_t sub = 0) {
  std::string key(17, '_');
  base::put_be64(key.data(), main);
  base::put_be64(key.data() + 9, sub);
  return key;
}

/// Rows first…last of one entry, `last`.
inline void append(Backend& backend, std::uint64_t first, std::uint64_t last, std::size_t size) {
  for (std::uint64_t i = first; i <= last; ++i) backend.buffer().append_row(row_key(i), std::string(size, 'v'));
  backend.buffer().set_applied(last, 1);
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Freezes what there is and steps until nothing is left.
inline void commit_all(Backend& backend) {
  backend.freeze();
  for (;;) {
    auto worked = backend.commit_loop().step();
    if (!worked) FAIL("step: " << worked.error().message());
    if (!*worked) return;
  }
}

using Rows = std::vector<std::pair<std::string, std::string>>;

inline Rows rows_of(const Backend& backend, Bucket bucket) {
  Rows out;
  auto scanned = backend.scan_bucket(bucket, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
    out.emplace_back(key, value);
    return {};
  });
  if (!scanned) FAIL("scan: " << scanned.error().message());
  return out;
}

/// What the counter of live bytes must be.
inline std::uint64_t recount(const Backend& backend) {
  std::uint64_t sum = 0;
  for (const Bucket bucket : kBuckets)
    for (const auto& [key, value] : rows_of(backend, bucket)) sum += key.size() + value.size() + 16;
  return sum;
}

}  // namespace etcdpp::backend
