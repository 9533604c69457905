#pragma once

#include <cstddef>
#include <cstdint>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>

namespace etcdpp::mvcc {

/// One version of a key, borrowed: the fields of mvccpb.KeyValue as views into somebody's bytes.
///
/// The encoding is proto3 with the fields in number order and zero fields left out; HashKV covers these bytes, so they
/// are written here by hand and never by a library that might choose another order.
struct KeyValue {
  base::BytesView key;
  std::int64_t create_revision = 0;
  std::int64_t mod_revision = 0;
  std::int64_t version = 0;
  base::BytesView value;
  std::int64_t lease = 0;
};

/// Bytes that encode() will write.
std::size_t encoded_size(const KeyValue& kv);
/// Writes exactly encoded_size(kv) bytes to `out` and returns their end.
char* encode(const KeyValue& kv, char* out);
/// The same, appended.
void append_encoded(const KeyValue& kv, base::Bytes& out);

/// Reads a KeyValue; the views borrow `bytes`. As protobuf: any field order, the last of a repeated field counts,
/// unknown fields are passed over. kBadRow for anything that is not a message.
base::Result<KeyValue> decode_key_value(base::BytesView bytes);

/// Bytes of an unsigned varint.
constexpr std::size_t varint_size(std::uint64_t v) {
  std::size_t n = 1;
  while (v >= 0x80) {
    v >>= 7;
    ++n;
  }
  return n;
}

/// Bytes that a row of `row_bytes` takes as an element of a repeated message field with a number below 16
/// (RangeResponse.kvs): tag, length, row. The index sums this, so that an answer's length is known before its first
/// byte.
constexpr std::uint64_t framed_size(std::uint64_t row_bytes) {
  return 1 + varint_size(row_bytes) + row_bytes;
}

}  // namespace etcdpp::mvcc
