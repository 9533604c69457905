#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <unordered_map>

#include "key_rows.h"

namespace etcdpp::mvccdump {

/// Looks at every row of a database for what a member would never have written: rows that cannot be decoded or have wrong
/// checksums, revisions and generations that do not follow each other, rows that name themselves otherwise, buckets that
/// are missing or foreign, marks out of order.
///
/// A problem is handed out as it is met. Memory: a few words per key.
class RowCheck {
 public:
  using Report = std::function<void(Problem)>;
  explicit RowCheck(Report report) : report_(std::move(report)) {}

  /// What cannot be read at all is a problem too; scans that end early are told.
  void run(Source& source, Progress& progress);
  std::uint64_t rows() const { return rows_; }

 private:
  /// A key as the rows so far leave it.
  struct Life {
    std::int64_t created = 0;
    std::int64_t version = 0;
    std::int64_t lease = 0;
    bool lives = false;
  };
  void check_buckets(Source& source);
  void check_key_row(const Row& row);
  void check_meta_row(const Row& row);
  void check_small_row(Bucket bucket, const Row& row);
  void problem(Bucket bucket, base::BytesView key, std::string what);

  const Report report_;
  std::uint64_t rows_ = 0;
  mvcc::Revision last_{-1, 0};
  std::unordered_map<std::string, Life> keys_;
  std::set<std::uint64_t> leases_;
  CompactionMarks marks_;
  bool has_index_ = false;
};

}  // namespace etcdpp::mvccdump
