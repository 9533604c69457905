#include <etcdpp/mvcc/key_value.h>

#include <cstring>

#include <etcdpp/mvcc/errc.h>

// message KeyValue { bytes key = 1; int64 create_revision = 2; int64 mod_revision = 3; int64 version = 4; bytes value =
// 5; int64 lease = 6; } — every field number is below 16, so every tag is one byte: number << 3 | wire type.

namespace etcdpp::mvcc {
namespace {

constexpr unsigned kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5;

constexpr char tag(unsigned field, unsigned wire) {
  return static_cast<char>(field << 3 | wire);
}

std::size_t bytes_field_size(base::BytesView bytes) {
  return bytes.empty() ? 0 : 1 + varint_size(bytes.size()) + bytes.size();
}
std::size_t number_field_size(std::int64_t v) {
  return v == 0 ? 0 : 1 + varint_size(static_cast<std::uint64_t>(v));
}

char* put_varint(char* out, std::uint64_t v) {
  while (v >= 0x80) {
    *out++ = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  *out++ = static_cast<char>(v);
  return out;
}
char* put_bytes(char* out, unsigned field, base::BytesView bytes) {
  if (bytes.empty()) return out;
  *out++ = tag(field, kLength);
  out = put_varint(out, bytes.size());
  std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}
char* put_number(char* out, unsigned field, std::int64_t v) {
  if (v == 0) return out;
  *out++ = tag(field, kVarint);
  return put_varint(out, static_cast<std::uint64_t>(v));
}

bool take_varint(base::BytesView& in, std::uint64_t& v) {
  // Tags, lengths of keys and most versions.
  if (!in.empty() && static_cast<unsigned char>(in[0]) < 0x80) {
    v = static_cast<unsigned char>(in[0]);
    in.remove_prefix(1);
    return true;
  }
  v = 0;
  for (unsigned shift = 0, i = 0; i < in.size() && shift < 70; ++i, shift += 7) {
    const auto byte = static_cast<unsigned char>(in[i]);
    if (shift < 64) v |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      in.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

}  // namespace

std::size_t encoded_size(const KeyValue& kv) {
  return bytes_field_size(kv.key) + number_field_size(kv.create_revision) + number_field_size(kv.mod_revision) +
         number_field_size(kv.version) + bytes_field_size(kv.value) + number_field_size(kv.lease);
}

char* encode(const KeyValue& kv, char* out) {
  out = put_bytes(out, 1, kv.key);
  out = put_number(out, 2, kv.create_revision);
  out = put_number(out, 3, kv.mod_revision);
  out = put_number(out, 4, kv.version);
  out = put_bytes(out, 5, kv.value);
  return put_number(out, 6, kv.lease);
}

void append_encoded(const KeyValue& kv, base::Bytes& out) {
  const std::size_t at = out.size();
  out.resize(at + encoded_size(kv));
  encode(kv, out.data() + at);
}

base::Result<KeyValue> decode_key_value(base::BytesView bytes) {
  const std::size_t size = bytes.size();
  auto bad = [&] {
    return base::Error(Errc::kBadRow, "at byte " + std::to_string(size - bytes.size()) + " of " + std::to_string(size));
  };
  KeyValue kv;
  while (!bytes.empty()) {
    std::uint64_t head = 0, number = 0;
    if (!take_varint(bytes, head)) return bad();
    const std::uint64_t field = head >> 3;
    if (field == 0 || field > 0x1fffffff) return bad();
    base::BytesView content;
    const unsigned wire = head & 7;
    switch (wire) {
      case kVarint:
        if (!take_varint(bytes, number)) return bad();
        break;
      case kFixed64:
      case kFixed32: {
        const std::size_t width = wire == kFixed64 ? 8 : 4;
        if (bytes.size() < width) return bad();
        bytes.remove_prefix(width);
        break;
      }
      case kLength:
        if (!take_varint(bytes, number) || number > bytes.size()) return bad();
        content = bytes.substr(0, number);
        bytes.remove_prefix(number);
        break;
      default:
        return bad();
    }
    const bool bytes_expected = field == 1 || field == 5;
    if (field <= 6 && wire != (bytes_expected ? kLength : kVarint)) return bad();
    switch (field) {
      case 1:
        kv.key = content;
        break;
      case 2:
        kv.create_revision = static_cast<std::int64_t>(number);
        break;
      case 3:
        kv.mod_revision = static_cast<std::int64_t>(number);
        break;
      case 4:
        kv.version = static_cast<std::int64_t>(number);
        break;
      case 5:
        kv.value = content;
        break;
      case 6:
        kv.lease = static_cast<std::int64_t>(number);
        break;
      default:
        break;
    }
  }
  return kv;
}

}  // namespace etcdpp::mvcc
