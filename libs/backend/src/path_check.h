#pragma once

#include <lmdb.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_set>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>

#include "page.h"
#include "page_view.h"
#include "tree_root.h"

namespace etcdpp::backend {

class Environment;

/// Looks at the mapped pages that lead to a key of one tree, as a transaction sees it, before LMDB is trusted with them:
/// LMDB follows a damaged page to anywhere, passes over what such a page has swallowed, and writes beside it.
///
/// A page is looked at once while the path goes through it. Threads: the transaction's.
class PathCheck {
 public:
  /// `tree` is "key", "small" or "own", or kFreeList, which is asked for its ends only.
  PathCheck(const Environment& environment, MDB_txn* transaction, std::string_view tree)
      : environment_(environment), transaction_(transaction), tree_(tree) {}

  static constexpr std::string_view kFreeList = "";

  /// From the root to the leaf where `key` is or would be: pages whole, the leaf's keys between their separators.
  base::Result<> to(base::BytesView key) { return walk(key, End::kKey, false); }
  /// Every leaf that may hold keys with first ≤ key < end (empty: to the last).
  base::Result<> through(base::BytesView first, base::BytesView end);
  /// What separates the leaf that was reached last from those before and behind it; empty: there is none.
  base::BytesView from() const { return from_; }
  base::BytesView below() const { return below_; }
  base::Result<> to_first() { return walk({}, End::kFirst, false); }
  base::Result<> to_last() { return walk({}, End::kLast, false); }
  /// The same with what a deletion of `key` touches: the pages beside the path, and those that hold its value.
  base::Result<> around(base::BytesView key) { return walk(key, End::kKey, true); }

 private:
  enum class End { kKey, kFirst, kLast };
  base::Result<> walk(base::BytesView key, End end, bool neighbours);
  base::Result<> find_root();
  base::Result<PageView> page(std::uint64_t number, bool known) const;
  base::Result<> check_beside(std::uint64_t number);
  base::Result<> check_value(const PageView& leaf, std::size_t at);
  base::Result<> check_free_pages(const PageView& leaf);
  base::Error damaged(std::uint64_t page, const char* what) const;

  const Environment& environment_;
  MDB_txn* const transaction_;
  const std::string_view tree_;
  bool root_known_ = false;
  TreeRoot root_;
  std::array<std::uint64_t, kDeepestTree + 1> checked_{};  // by depth; 0: none
  std::unordered_set<std::uint64_t> checked_beside_;
  base::BytesView from_, below_;
};

}  // namespace etcdpp::backend
