#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>
#include <etcdpp/bolt/verify.h>

namespace etcdpp::bolt {

/// A row that salvage found.
struct SalvagedRow {
  /// Empty: found on a page outside of every tree, which does not say whose it is.
  base::BytesView bucket;
  base::BytesView key;
  base::BytesView value;
  std::uint64_t page = 0;
  /// Reached from the newest meta. Others may be of any earlier commit: bbolt leaves old pages where they were.
  bool in_tree = true;
  /// On one of SalvageReport::strays.
  bool stray = false;
};

/// Keys that cannot be reached any more: the tree above them is damaged.
struct LostRange {
  /// Empty: all buckets, their list itself is lost.
  base::Bytes bucket;
  base::Bytes first;
  /// Behind the last; none: to the end of the bucket.
  std::optional<base::Bytes> end;
  Problem why;

  bool covers(base::BytesView bucket_name, base::BytesView key) const {
    return bucket.empty() || (bucket == bucket_name && key >= first && (!end || key < *end));
  }
};

struct SalvageReport {
  std::uint64_t page_size = 0;
  std::uint64_t rows_in_tree = 0;
  std::uint64_t rows_outside = 0;
  std::uint64_t pages_outside = 0;
  /// The first kMostLost; `lost_count` counts all.
  std::vector<LostRange> lost;
  std::uint64_t lost_count = 0;
  /// Leaf pages that no tree reaches and a sound free list does not have: the newest commit's, lost with the pages that led
  /// to them. As many of them; `stray_count` counts all. Files without a free list (etcd's on Linux) have none.
  std::vector<Problem> strays;
  std::uint64_t stray_count = 0;
  static constexpr std::size_t kMostLost = 10'000;
};

/// Hands out every row on every readable page of a database in any state, also without a whole meta: first what the trees
/// still reach (of a damaged leaf, the rows that are whole), in the order of bucket and key; then, only where something was
/// lost, the rows of leaf pages that no tree reaches. It is for the caller to take of those what belongs into a lost range,
/// and what is stray.
///
/// Threads: one. Memory: two bits per page, one path of pages. Errors: of reading itself, and the visitor's.
using SalvageVisitor = std::function<base::Result<>(const SalvagedRow& row)>;
/// Called once, between the two parts, with all that was lost. True: the second part is wanted also if that was nothing.
using LossVisitor = std::function<base::Result<bool>(const SalvageReport& report)>;
base::Result<SalvageReport> salvage(base::Env& env, const std::string& path, const SalvageVisitor& visit,
                                    const LossVisitor& lost = {});

}  // namespace etcdpp::bolt
