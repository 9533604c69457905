#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include <etcdpp/backend/bucket.h>
#include <etcdpp/base/bytes.h>

namespace etcdpp::backend {

// How a row stands in the file (docs/formats/database.md):
//   stored = value ‖ row format (1 byte) ‖ CRC-32C (4 bytes, little-endian) of bucket byte ‖ key ‖ value ‖ row format
// Rows of the small buckets share one tree, under bucket byte ‖ key; a key over kLongestPlainKey bytes stands under
// (bucket byte | 0x80) ‖ SHA-256(key), and its value begins with the key's size (4 bytes, big-endian) and the key.

/// kHead and kPart: a row of the tree `key` in parts (row_parts.h).
enum class RowFormat : std::uint8_t { kPlain = 1, kLongKey = 2, kHead = 3, kPart = 4 };

inline constexpr std::size_t kTrailerSize = 5;
inline constexpr std::size_t kLongestPlainKey = 480;
/// What the quota counts for a row beside its key and value.
inline constexpr std::uint64_t kRowOverhead = 16;
/// The bucket byte of the tree `own`.
inline constexpr std::uint8_t kOwnTree = 0;

inline std::uint64_t live_size(std::size_t key_size, std::size_t value_size) { return key_size + value_size + kRowOverhead; }

inline std::uint32_t get_be32(const char* in) {
  std::uint32_t v;
  std::memcpy(&v, in, 4);
  return __builtin_bswap32(v);
}
inline void put_be32(char* out, std::uint32_t v) {
  v = __builtin_bswap32(v);
  std::memcpy(out, &v, 4);
}

/// What the trailer says, its checksum not looked at; none where there is no room for one.
std::optional<RowFormat> format_of(base::BytesView stored);

/// Writes the trailer of a row behind its value.
void put_trailer(char* out, std::uint8_t bucket, base::BytesView key, base::BytesView value, RowFormat format);

/// The part of a stored row before its trailer, if checksum and format are right.
std::optional<base::BytesView> verified(std::uint8_t bucket, base::BytesView key, base::BytesView stored, RowFormat format);

/// A row of the tree `small` as it is stored.
struct SmallRow {
  base::Bytes tree_key;
  base::Bytes stored;
};
base::Bytes small_tree_key(Bucket bucket, base::BytesView key);
SmallRow encode_small_row(Bucket bucket, base::BytesView key, base::BytesView value);

/// Bucket, key and value of a stored row of the tree `small`; none when anything about it is wrong.
struct DecodedSmallRow {
  Bucket bucket;
  base::BytesView key;
  base::BytesView value;
};
std::optional<DecodedSmallRow> decode_small_row(base::BytesView tree_key, base::BytesView stored);

/// Rows of the tree `own` hold one number each.
namespace own_key {
inline constexpr std::string_view kFormatVersion = "format_version";
inline constexpr std::string_view kClusterId = "cluster_id";
inline constexpr std::string_view kMemberId = "member_id";
inline constexpr std::string_view kLiveBytes = "live_bytes";
}  // namespace own_key
/// Whether a row of one of the three trees is what was once written.
bool row_is_whole(std::string_view tree, base::BytesView key, base::BytesView stored);

base::Bytes encode_own_row(base::BytesView name, std::uint64_t number);
std::optional<std::uint64_t> decode_own_row(base::BytesView name, base::BytesView stored);

}  // namespace etcdpp::backend
