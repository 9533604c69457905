#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <etcdpp/backend/bucket.h>
#include <etcdpp/base/bytes.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>

namespace etcdpp::backend {

/// A row that salvage found; its checksum is right.
struct SalvagedRow {
  Bucket bucket = Bucket::kKey;
  base::BytesView key;
  base::BytesView value;
  std::uint64_t page = 0;
  /// Reached from the newest meta. Others may be of any earlier commit: LMDB leaves old pages where they were.
  bool in_tree = true;
};

/// Something that cannot be reached or believed any more.
struct SalvageLoss {
  std::uint64_t page = 0;
  /// Within the file.
  std::uint64_t offset = 0;
  std::string what;
  /// The keys that are lost with it, as the trees have them: all of `tree` (empty: of all trees) from `first` to below
  /// `end` (none: to the last).
  std::string tree;
  base::Bytes first;
  std::optional<base::Bytes> end;
};

struct SalvageReport {
  std::uint64_t rows_in_tree = 0;
  std::uint64_t rows_outside = 0;
  /// The first kMostLosses; `loss_count` counts all.
  std::vector<SalvageLoss> losses;
  std::uint64_t loss_count = 0;
  static constexpr std::size_t kMostLosses = 10'000;

  /// Whether a row from outside of the trees may be one of those that were lost.
  bool may_have_lost(Bucket bucket, base::BytesView key) const;
};

/// Hands out every row with a right checksum on every readable page of a database in any state, also without a whole meta:
/// first what the trees still reach, then, only where something was lost, what lies on leaf pages outside of them.
/// It is for the caller to take of those what was lost. Reads the file by itself, without LMDB and without locks.
///
/// Order: rows of one tree by key; bucket `key` among the others in no order. Threads: one.
/// Memory: a bit per page, one path of pages, one row, the places of the parts of large rows that are not whole.
/// Errors: of reading itself, and the visitor's.
using SalvageVisitor = std::function<base::Result<>(const SalvagedRow& row)>;
/// Called once, between the two parts, with all that was lost.
using LossVisitor = std::function<base::Result<>(const SalvageReport& report)>;
base::Result<SalvageReport> salvage(base::Env& env, const std::string& path, const SalvageVisitor& visit,
                                    const LossVisitor& lost = {});

}  // namespace etcdpp::backend
