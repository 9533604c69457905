#pragma once

#include <cstddef>
#include <cstdint>

#include <etcdpp/base/bytes.h>

namespace etcdpp::proto {

/// The protobuf wire by hand, for what is hot: raft's messages and the log's records. Reading accepts and refuses what
/// Go's protobuf accepts and refuses, so that a log is readable here exactly where it is in etcd.

inline constexpr std::size_t kMaxVarintSize = 10;

enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kStartGroup = 3, kEndGroup = 4, kFixed32 = 5 };

constexpr std::size_t varint_size(std::uint64_t value) {
  return static_cast<std::size_t>((63 - __builtin_clzll(value | 1)) * 9 + 73) / 64;
}

/// Writes at most kMaxVarintSize bytes and returns the end.
inline char* put_varint(char* out, std::uint64_t value) {
  while (value >= 0x80) {
    *out++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<char>(value);
  return out;
}

inline void append_varint(std::uint64_t value, base::Bytes& out) {
  char buffer[kMaxVarintSize];
  out.append(buffer, static_cast<std::size_t>(put_varint(buffer, value) - buffer));
}

/// Field numbers below 16 take a tag of one byte; all of raft's and the log's are.
constexpr char tag_byte(unsigned field, WireType type) { return static_cast<char>(field << 3 | static_cast<unsigned>(type)); }

inline char* put_varint_field(char* out, unsigned field, std::uint64_t value) {
  *out++ = tag_byte(field, WireType::kVarint);
  return put_varint(out, value);
}
/// Tag and length; the bytes follow.
inline char* put_length_field(char* out, unsigned field, std::size_t length) {
  *out++ = tag_byte(field, WireType::kBytes);
  return put_varint(out, length);
}

/// Walks the fields of one message, without recursion and without copying. Groups are skipped whole.
///
///     WireReader reader(bytes);
///     while (reader.next()) if (reader.number() == 1 && reader.is_varint()) index = reader.varint();
///     if (!reader.ok()) return Errc::kMalformed;
class WireReader {
 public:
  explicit WireReader(base::BytesView bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  /// Moves to the next field; false at the end, or when the bytes are no message.
  bool next();
  /// After next() said false: whether everything was well-formed.
  bool ok() const { return ok_; }

  std::uint32_t number() const { return number_; }
  bool is_varint() const { return type_ == WireType::kVarint; }
  bool is_bytes() const { return type_ == WireType::kBytes; }
  std::uint64_t varint() const { return value_; }
  base::BytesView bytes() const { return bytes_; }

 private:
  bool read_varint(std::uint64_t& value);
  bool read_tag(std::uint32_t& number, WireType& type);
  bool read_value(WireType type);
  bool skip_group(std::uint32_t number);
  bool fail() {
    ok_ = false;
    at_ = end_;
    return false;
  }

  const char* at_;
  const char* end_;
  bool ok_ = true;
  std::uint32_t number_ = 0;
  WireType type_ = WireType::kVarint;
  std::uint64_t value_ = 0;
  base::BytesView bytes_;
};

}  // namespace etcdpp::proto
