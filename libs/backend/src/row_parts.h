#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>

#include "row_format.h"

namespace etcdpp::backend {

// LMDB gives values over half a page pages of their own: 4 KB and a few bytes take two, and larger ones need runs of pages,
// for which a file with holes has no place. So such rows of the tree `key` are cut into parts that fill single pages
// (docs/formats/database.md):
//   row key                            → size of the value (4 bytes, big-endian) ‖ its first bytes, as RowFormat::kHead
//   row key ‖ 0 ‖ n (4 bytes, from 1)  → the bytes behind those of part n − 1,                    as RowFormat::kPart
// Files of format 1 have such rows in one piece; they are read as they are.

/// What a head has in front of the value's bytes: how many there are in all.
inline constexpr std::size_t kRowSizeBytes = 4;

/// Whether a value of `size` bytes stands whole: it fills a leaf with others of its size, or most of a page by itself.
bool in_one_piece(std::size_t size);
/// How many of the last `left` bytes of a value that does not go into its next part; `head`: into the first.
std::size_t next_piece(std::size_t left, bool head);

/// What the pages of rows of `bytes` take at most: whole rows leave up to a fifth of a leaf, parts a sixth, and each has a
/// node's head, which counts where rows are tiny.
constexpr std::uint64_t most_written(std::uint64_t bytes) { return bytes + bytes / 2; }

base::Bytes part_key(base::BytesView row_key, std::uint32_t number);
/// Whether a stored row says of itself that it goes on where another one ended (its checksum is not looked at).
bool is_part(base::BytesView stored);
/// The key of the row that a part belongs to.
base::BytesView row_of_part(base::BytesView part_key);

/// Puts rows together from what the tree `key` has, in order.
///
/// Threads: one. Memory: the row that is under way.
class RowJoin {
 public:
  /// kRow: key() and value() are a row. kMore: it goes on with the next one. kWrong: what was taken is not what was once
  /// written, or does not belong to the row under way, which is then given up: key() is its key, value() what there was of
  /// it. Taken again, it may begin a row of its own.
  enum class Taken { kRow, kMore, kWrong };
  /// `verify` false leaves checksums alone.
  Taken take(base::BytesView key, base::BytesView stored, bool verify = true);
  /// A row is under way.
  bool open() const { return open_; }
  /// There is nothing behind what was taken: gives the row under way up, as kWrong does.
  void give_up();

  /// Of a row in one piece: views into what was taken. Else until the next take().
  base::BytesView key() const { return key_; }
  base::BytesView value() const { return value_; }
  base::Bytes take_value() { return std::move(joined_); }

 private:
  Taken begin(base::BytesView key, base::BytesView stored, bool verify);
  Taken go_on(base::BytesView key, base::BytesView stored, bool verify);

  bool open_ = false;
  std::uint32_t next_part_ = 0;
  std::size_t size_ = 0;
  base::Bytes row_key_;
  base::Bytes joined_;
  base::BytesView key_;
  base::BytesView value_;
};

/// kCorrupt: a row's head is there, the last of its parts are not.
base::Error lost_parts(const std::string& path, base::BytesView row_key);

}  // namespace etcdpp::backend
