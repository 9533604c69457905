#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>

namespace etcdpp::mvcc {

/// The point in the store's history at which a change happened: `main` counts transactions, `sub` the changes inside
/// one.
struct Revision {
  std::int64_t main = 0;
  std::int64_t sub = 0;

  friend auto operator<=>(const Revision&, const Revision&) = default;
};

/// Identity of a row of bucket `key`: the change, and whether it removed the key.
struct RowKey {
  Revision revision;
  bool tombstone = false;

  friend bool operator==(const RowKey&, const RowKey&) = default;
};

inline constexpr std::size_t kRowKeyBytes = 17;           ///< main(8, big-endian) '_' sub(8, big-endian)
inline constexpr std::size_t kTombstoneRowKeyBytes = 18;  ///< the same and a 't'

/// A row key as it stands in the database, held by value; its bytes sort as the revisions do.
class RowKeyBytes {
 public:
  RowKeyBytes(Revision revision, bool tombstone);
  base::BytesView view() const { return {bytes_.data(), size_}; }
  operator base::BytesView() const { return view(); }

 private:
  std::array<char, kTombstoneRowKeyBytes> bytes_;
  std::uint8_t size_;
};

/// Reads a row key; kBadRowKey for another length, separator or mark, and for negative numbers.
base::Result<RowKey> decode_row_key(base::BytesView bytes);

}  // namespace etcdpp::mvcc
