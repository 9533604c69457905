#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>

#include "source.h"

namespace etcdpp::mvccdump {

/// Rows in any order, put in order on disk: their values wait in a temporary file, their keys in memory.
///
/// The file goes with the spill.
class Spill {
 public:
  struct Entry {
    Bucket bucket;
    base::Bytes key;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };

  static base::Result<std::unique_ptr<Spill>> create(base::Env& env, const std::string& path);
  ~Spill();

  base::Result<> add(Bucket bucket, base::BytesView key, base::BytesView value);
  /// Sorts by bucket and key. Of several versions of a row one stays: the greatest of an index or term, else the last added.
  base::Result<> sort();
  const std::vector<Entry>& entries() const { return entries_; }
  base::Result<base::Bytes> value(const Entry& entry);
  /// Rows of which several versions, not all the same, were found.
  std::uint64_t ambiguous() const { return ambiguous_; }

 private:
  Spill(base::Env& env, std::string path, std::unique_ptr<base::File> file) : env_(env), path_(std::move(path)), file_(std::move(file)) {}
  base::Result<> flush();

  base::Env& env_;
  const std::string path_;
  std::unique_ptr<base::File> file_;
  base::Bytes gathered_;
  std::uint64_t written_ = 0;
  std::uint64_t ambiguous_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace etcdpp::mvccdump
