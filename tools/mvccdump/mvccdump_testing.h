#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <etcdpp/backend/backend.h>
#include <etcdpp/base/random.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/revision.h>

#include "command.h"

namespace etcdpp::mvccdump {

/// A directory that goes with its owner.
class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / ("etcdpp-mvccdump-" + base::hex(base::random_seed()))) { std::filesystem::create_directories(path_); }
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
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void spill_bytes(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes; }

/// What a command answered.
struct Answer {
  base::Result<Exit> exit;
  std::string text;
  std::uint64_t wrong_rows = 0;
  Exit code() const { return exit ? *exit : Exit::kCannot; }
  bool damage() const { return !exit || *exit == Exit::kDamage || wrong_rows > 0; }
  /// One object for each line.
  std::vector<nlohmann::json> lines() const {
    std::vector<nlohmann::json> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) out.push_back(nlohmann::json::parse(line));
    return out;
  }
};

inline Answer run(base::Result<Exit> (*command)(Context&), const Options& options, Format format = Format::kJson) {
  std::string text;
  Output out([&](base::BytesView bytes) {
    text += bytes;
    return true;
  });
  Progress progress;
  Printer printer(out, format, options.full);
  Context context{base::posix_env(), printer, progress, options};
  auto exit = command(context);
  printer.end_table();
  out.flush();
  return {std::move(exit), text, context.bad_checksums + context.undecodable};
}
inline Options at(const std::string& path) {
  Options options;
  options.path = path;
  return options;
}

/// A member's database of ours, in a folder of its own.
class Member {
 public:
  Member() {
    backend::Options options;
    options.data_dir = folder.path();
    options.env = &base::posix_env();
    options.clock = &clock;
    options.logger = &base::null_logger();
    options.cluster_id = 0xc1;
    options.member_id = 0xa1;
    auto opened = backend::Backend::open(options);
    REQUIRE(opened.has_value());
    backend = std::move(*opened);
  }
  void put_row(Bucket bucket, base::BytesView key, base::BytesView value) {
    if (bucket == Bucket::kKey) {
      backend->buffer().append_row(key, value);
    } else {
      backend->buffer().put(bucket, key, value);
    }
  }
  void put(std::int64_t main, const std::string& key, std::int64_t created, std::int64_t version, const std::string& value, std::int64_t lease = 0) {
    std::string row;
    mvcc::append_encoded({.key = key, .create_revision = created, .mod_revision = main, .version = version, .value = value, .lease = lease}, row);
    put_row(Bucket::kKey, mvcc::RowKeyBytes({main, 0}, false), row);
  }
  void tombstone(std::int64_t main, const std::string& key) {
    std::string row;
    mvcc::append_encoded({.key = key, .create_revision = 0, .mod_revision = 0, .version = 0, .value = {}, .lease = 0}, row);
    put_row(Bucket::kKey, mvcc::RowKeyBytes({main, 0}, true), row);
  }
  void commit() {
    backend->freeze();
    while (backend->commit_loop().step().value()) {
    }
  }
  std::string file() const { return folder / "member/etcdpp/data.lmdb"; }

  base::SystemClock clock;
  Folder folder;
  std::unique_ptr<backend::Backend> backend;
};

inline const std::string kSamples = "../shared/testdata/etcd";
/// Unpacks a recorded data directory of etcd into `folder`; false, and said so, where there is none.
inline bool unpack_sample(const Folder& folder, const std::string& archive) {
  if (!std::filesystem::exists(kSamples + "/" + archive)) {
    MESSAGE("SKIPPED: ", kSamples, "/", archive, " is not there; nothing of a real etcd's is read");
    return false;
  }
  const std::string command = "tar xzf '" + kSamples + "/" + archive + "' -C '" + folder.path() + "'";
  REQUIRE(std::system(command.c_str()) == 0);
  return true;
}
inline nlohmann::json sample_json(const std::string& name) { return nlohmann::json::parse(slurp(kSamples + "/a-datadir/" + name)); }

inline std::string unhex(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  return out;
}
inline std::string unbase64(std::string_view text) {
  static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0, count = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<unsigned>(digits.find(c));
    count += 6;
    if (count >= 8) out += static_cast<char>(bits >> (count -= 8) & 0xff);
  }
  return out;
}
/// A field that is text, or hexadecimal under `<name>_hex`.
inline std::string data_of(const nlohmann::json& object, const std::string& name) {
  if (object.contains(name)) return object[name].get<std::string>();
  return unhex(object.at(name + "_hex").get<std::string>());
}

}  // namespace etcdpp::mvccdump
