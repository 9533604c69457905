#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <etcdpp/backend/bucket.h>
#include <etcdpp/backend/page_reader.h>
#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>

namespace etcdpp::backend {

/// Where the database of a --data-dir is.
std::string database_path(const std::string& data_dir);

/// A database read from its pages, without opening it: what mvccdump sees, of a running member too.
///
/// Writes nothing, takes no lock. Rows of a running member may be of different commits (see PageReader).
/// Threads: one. Errors: as PageReader.
class DatabaseFile {
 public:
  /// What the tree `own` says; none where a row is absent or its checksum wrong.
  struct Identity {
    std::optional<std::uint64_t> format_version;
    std::optional<std::uint64_t> cluster_id;
    std::optional<std::uint64_t> member_id;
    std::optional<std::uint64_t> live_bytes;
  };

  static base::Result<std::unique_ptr<DatabaseFile>> open(base::Env& env, const std::string& path);

  PageReader& pages() { return *pages_; }
  base::Result<Identity> identity();

  /// A row whose checksum is wrong is handed out too, marked, with the bytes that stand there.
  struct FileRow {
    base::BytesView key;
    base::BytesView value;
    bool intact = true;
  };
  using Visitor = std::function<base::Result<>(const FileRow& row)>;
  /// All rows of a bucket in key order.
  base::Result<> scan_bucket(Bucket bucket, const Visitor& visit);
  /// Rows of bucket `key` from `first` on.
  base::Result<> scan_rows(base::BytesView first, const Visitor& visit);

 private:
  explicit DatabaseFile(std::unique_ptr<PageReader> pages) : pages_(std::move(pages)) {}
  std::unique_ptr<PageReader> pages_;
};

}  // namespace etcdpp::backend
