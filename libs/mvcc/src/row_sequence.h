#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include <etcdpp/base/result.h>
#include <etcdpp/mvcc/errc.h>
#include <etcdpp/mvcc/revision.h>

namespace etcdpp::mvcc {

/// Holds rows that are read in order against what the history must have: above the compact revision every main revision
/// has rows, with subs 0, 1, 2… A row that a damaged page has swallowed is missed so, instead of a change.
class RowSequence {
 public:
  RowSequence() = default;
  /// Rows from main revision `from` on will come, none is missing above `compact_revision`.
  RowSequence(std::int64_t from, std::int64_t compact_revision)
      : compact_revision_(compact_revision), next_{std::max<std::int64_t>({from, compact_revision + 1, kFirst}), 0} {}

  base::Result<> met(const Revision& row) {
    if (row.main <= compact_revision_) return {};
    if (row != next_ && row != Revision{next_.main + 1, 0}) return missing(next_);
    if (row.main != next_.main && next_.sub == 0) return missing(next_);
    next_ = {row.main, row.sub + 1};
    return {};
  }
  /// There are no more rows up to main revision `last`.
  base::Result<> ended(std::int64_t last) const {
    if (next_.main > last || (next_.main == last && next_.sub > 0)) return {};
    return missing(next_.sub > 0 ? Revision{next_.main + 1, 0} : next_);
  }

 private:
  /// A fresh store is at revision 1, which has no rows.
  static constexpr std::int64_t kFirst = 2;
  static base::Error missing(const Revision& row) {
    return base::Error(Errc::kRowMissing, "revision " + std::to_string(row.main) + "." + std::to_string(row.sub) + " among the rows");
  }

  std::int64_t compact_revision_ = -1;
  Revision next_{kFirst, 0};
};

}  // namespace etcdpp::mvcc
