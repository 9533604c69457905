#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/base/result.h>

namespace etcdpp::wal {

/// "N", "A-B", "A-" or "-B", both ends included.
struct NumberRange {
  std::uint64_t from = 0;
  std::uint64_t to = std::numeric_limits<std::uint64_t>::max();
  bool holds(std::uint64_t n) const { return n >= from && n <= to; }
};

/// Nothing for anything else. `units`: k, M and G (powers of 1024) may follow a number.
std::optional<NumberRange> parse_range(std::string_view text, bool units = false);

/// Which frames a dump shows. What is asked for must all hold; of a list, one. Plain values.
///
/// A frame that has not what is asked about does not pass: only entries have kind, key, lease, user and size; entries and snapshot
/// markers have an index; these and hard states have a term.
struct Filter {
  std::optional<NumberRange> index;
  std::optional<NumberRange> term;
  /// Of the entry's data, in bytes.
  std::optional<NumberRange> size;
  /// "metadata", "entry", "state", "crc", "snapshot"; or of entries: "normal", "conf_change", "conf_change_v2".
  std::vector<std::string> types;
  /// Names of requests as printed ("put", "txn", "conf_change", "empty", …), or the first words of several ("lease", "auth",
  /// "cluster"); '-' for '_' too.
  std::vector<std::string> kinds;
  /// Puts of this key, and ranges, deletions and comparisons that reach it, at any depth of transactions.
  std::optional<std::string> key;
  /// The same for any key that begins so.
  std::optional<std::string> prefix;
  /// Of puts, grants, revocations and checkpoints.
  std::optional<std::uint64_t> lease;
  /// Who asked, where authentication was on.
  std::optional<std::string> user;

  bool empty() const;
};

/// kBadFilter for a type or kind that does not exist.
base::Result<> validate(const Filter& filter);

}  // namespace etcdpp::wal
