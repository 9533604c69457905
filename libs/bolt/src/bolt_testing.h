#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include <etcdpp/base/env.h>
#include <etcdpp/base/random.h>
#include <etcdpp/bolt/file_writer.h>
#include <etcdpp/bolt/reader.h>

namespace etcdpp::bolt {

/// What is in a database: bucket → key → value.
using Rows = std::map<std::string, std::map<std::string, std::string>>;

/// A directory that goes with its owner.
class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / ("etcdpp-bolt-" + base::hex(base::random_seed()))) {
    std::filesystem::create_directories(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}
inline void spill(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline Plan write_database(const std::string& path, const Rows& rows, std::uint64_t page_size = 4096) {
  auto file = FileWriter::create(base::posix_env(), path, page_size);
  REQUIRE(file.has_value());
  for (const auto& [bucket, content] : rows) {
    REQUIRE((*file)->rows().begin_bucket(bucket).has_value());
    for (const auto& [key, value] : content) REQUIRE((*file)->rows().add(key, value).has_value());
  }
  const auto plan = (*file)->finish();
  REQUIRE(plan.has_value());
  return *plan;
}

inline base::Result<Rows> read_database(const std::string& path) {
  ETCDPP_ASSIGN(const auto reader, Reader::open(base::posix_env(), path));
  ETCDPP_ASSIGN(const auto buckets, reader->buckets());
  Rows rows;
  for (const Bucket& bucket : buckets) {
    auto& content = rows[bucket.name];
    ETCDPP_TRY(reader->scan(bucket.name, {}, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
      content.emplace(key, value);
      return {};
    }));
  }
  return rows;
}

/// The names of etcd, with `count` rows of up to `longest` bytes in bucket `key`.
inline Rows example_rows(std::uint64_t seed, std::size_t count, std::size_t longest) {
  base::Random random(seed);
  Rows rows;
  for (const char* name : {"alarm", "auth", "authRoles", "authUsers", "cluster", "lease", "members", "members_removed"}) rows[name];
  rows["meta"]["consistent_index"] = std::string(8, '\1');
  rows["cluster"]["clusterVersion"] = "3.7.0";
  for (std::size_t i = 0; i < count; ++i) {
    char key[17];
    base::put_be64(key, i + 2);
    key[8] = '_';
    base::put_be64(key + 9, 0);
    std::string value(random.below(longest + 1), '\0');
    for (char& c : value) c = static_cast<char>(random.next());
    rows["key"][std::string(key, sizeof key)] = value;
  }
  return rows;
}

}  // namespace etcdpp::bolt
