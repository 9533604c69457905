#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <etcdpp/backend/bucket.h>
#include <etcdpp/base/bytes.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>

#include "progress.h"

namespace etcdpp::mvccdump {

using backend::Bucket;

/// A row of a bucket. One with a wrong checksum is handed out too, marked, with the bytes that stand there.
struct Row {
  base::BytesView key;
  base::BytesView value;
  bool intact = true;
};
using RowVisitor = std::function<base::Result<>(const Row& row)>;

/// An error that ends a scan early without being one: what a visitor returns when it has seen enough.
base::Error enough();
bool is_enough(const base::Error& error);

enum class Engine { kOwn, kBbolt };

/// What a database's file says of itself, apart from its rows.
struct FileFacts {
  Engine engine = Engine::kOwn;
  std::uint64_t file_size = 0;
  std::uint64_t page_size = 0;
  std::uint64_t pages = 0;
  std::uint64_t transaction = 0;
  /// Ours only, and only where their rows are whole.
  std::optional<std::uint64_t> format_version, cluster_id, member_id, live_bytes;
};

/// Something wrong, and where: a page and a byte of the file, or a row.
struct Problem {
  std::string where;
  std::string what;
};

/// What a walk over the pages found.
struct PageCheck {
  std::vector<Problem> problems;
  std::uint64_t problem_count = 0;
  std::optional<std::uint64_t> free_pages;
  /// The file was written to meanwhile: problems may be of the reading, not of the file.
  bool overtaken = false;
};

/// A row that salvage found.
struct SavedRow {
  Bucket bucket;
  base::BytesView key;
  base::BytesView value;
  bool in_tree = true;
};
using SavedRowVisitor = std::function<base::Result<>(const SavedRow& row)>;
struct SalvageOutcome {
  std::vector<Problem> losses;
  std::uint64_t loss_count = 0;
};

/// An opened database, whoever wrote it: ours (LMDB) or etcd's (bbolt). What every command reads through.
///
/// Reads only and takes no lock. Of a running member rows may be of different commits.
/// Threads: one. Errors: those of backend and bolt.
class Source {
 public:
  virtual ~Source() = default;
  virtual const std::string& path() const = 0;
  virtual base::Result<FileFacts> facts() = 0;
  virtual base::Result<PageCheck> check_pages() = 0;
  /// Buckets that etcd does not know, by name.
  virtual base::Result<std::vector<base::Bytes>> foreign_buckets() = 0;
  /// Which of etcd's buckets are there.
  virtual base::Result<std::vector<Bucket>> buckets() = 0;

  /// All rows of a bucket in key order; an absent bucket has none.
  base::Result<> scan(Bucket bucket, const RowVisitor& visit);
  /// Rows of bucket `key` from a row key on.
  base::Result<> scan_rows_from(base::BytesView first, const RowVisitor& visit);
  /// Names what is being read on the progress bar of the scans that follow.
  void show(Progress& progress, const std::string& what);
  Progress* progress() const { return progress_; }

 protected:
  virtual base::Result<> do_scan(Bucket bucket, const RowVisitor& visit) = 0;
  virtual base::Result<> do_scan_rows(base::BytesView first, const RowVisitor& visit) = 0;

 private:
  Progress* progress_ = nullptr;
};

/// Rows of a database in any state, also one that cannot be opened: first those in the trees, in order of bucket name and
/// key; then, if something was lost, those on other pages that may be what was lost, in any order.
base::Result<SalvageOutcome> salvage(base::Env& env, const std::string& path, Engine engine, const SavedRowVisitor& visit);

/// The database file that a path means: the file itself, or a directory at or above it.
base::Result<std::string> find_database(base::Env& env, const std::string& path);
/// Whose format a file has; by its pages where both metas are damaged. None: neither.
base::Result<std::optional<Engine>> detect_engine(base::Env& env, const std::string& file);
/// find_database(), then opens.
base::Result<std::unique_ptr<Source>> open_source(base::Env& env, const std::string& path);

base::Result<std::unique_ptr<Source>> open_own_source(base::Env& env, const std::string& file);
base::Result<std::unique_ptr<Source>> open_bolt_source(base::Env& env, const std::string& file);
base::Result<SalvageOutcome> salvage_own(base::Env& env, const std::string& file, const SavedRowVisitor& visit);
base::Result<SalvageOutcome> salvage_bolt(base::Env& env, const std::string& file, const SavedRowVisitor& visit);

}  // namespace etcdpp::mvccdump
