#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <etcdpp/base/bytes.h>

namespace etcdpp::wal {

/// The frame and record format of a log segment, as pure functions over bytes (docs/formats/wal.md).
///
/// Frame:  8-byte little-endian length word ‖ record ‖ zero padding to a multiple of 8.
///         word = length, and when there is padding 0x80 | padding in its highest byte.
///         A word of 0 means: nothing follows in this file (preallocated space).
/// Record: protobuf {1 type varint, 2 crc varint, 3 data bytes}; type and crc always present.
/// CRC:    one CRC-32C runs over the data bytes of all records of a log; each record holds its value behind its own data.
///
/// Deterministic and total: any bytes give an answer, none reads outside its argument.

inline constexpr std::size_t kLengthWordSize = 8;
inline constexpr std::size_t kSectorSize = 512;
inline constexpr std::uint64_t kSegmentSize = 64'000'000;
/// No record is larger; a length word that says so is damaged. (etcd has no limit but the file's size; its requests end far below.)
inline constexpr std::uint64_t kMaxRecordSize = std::uint64_t{1} << 30;

enum class RecordType : std::int64_t { kMetadata = 1, kEntry = 2, kState = 3, kCrc = 4, kSnapshot = 5 };

/// "metadata", "entry", "state", "crc", "snapshot", or "type N" for anything else.
std::string record_type_name(std::int64_t type);

/// What a length word says.
struct LengthWord {
  std::uint64_t length = 0;
  unsigned padding = 0;
};
LengthWord decode_length_word(std::uint64_t word);
std::uint64_t encode_length_word(std::uint64_t record_length);

/// A decoded record; `data` borrows from the bytes it was decoded from.
struct Record {
  std::int64_t type = 0;
  std::uint32_t crc = 0;
  base::BytesView data;
};

/// Nothing when the bytes are no protobuf message. Unknown fields are skipped, absent ones are 0.
std::optional<Record> decode_record(base::BytesView bytes);

/// Bytes that the frame of a record with `data_size` bytes of data and this checksum takes, length word and padding included.
std::size_t frame_size(RecordType type, std::uint32_t crc, std::size_t data_size);

/// Whether a frame's body was torn by a crash: its bytes, cut at 512-byte boundaries of the *file*, contain a piece of
/// zeros only. `body_offset` is where the body starts in the file. Asked only of the last segment's frames.
bool is_torn(std::uint64_t body_offset, base::BytesView body);

}  // namespace etcdpp::wal
