// leasepb.Lease is {1: ID, 2: TTL, 3: RemainingTTL}, all int64: a varint each (negative numbers take ten bytes), in
// ascending order of field, a zero left out. Small enough to be written here instead of linking protobuf into the core.
#include <etcdpp/lease/lease_row.h>

#include <optional>

#include <etcdpp/lease/errc.h>

namespace etcdpp::lease {

namespace {

enum WireType : unsigned { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

void append_varint(base::Bytes& out, std::uint64_t v) {
  while (v >= 0x80) {
    out += static_cast<char>(v | 0x80);
    v >>= 7;
  }
  out += static_cast<char>(v);
}

void append_field(base::Bytes& out, unsigned field, std::int64_t v) {
  if (v == 0) return;
  append_varint(out, field << 3 | kVarint);
  append_varint(out, static_cast<std::uint64_t>(v));
}

std::optional<std::uint64_t> take_varint(base::BytesView& in) {
  std::uint64_t v = 0;
  for (unsigned shift = 0; shift < 70 && !in.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    if (shift < 64) v |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return v;
  }
  return std::nullopt;
}

bool skip(base::BytesView& in, std::uint64_t bytes) {
  if (bytes > in.size()) return false;
  in.remove_prefix(bytes);
  return true;
}

/// False if `value` is no message.
bool parse(base::BytesView in, LeaseRow& row) {
  while (!in.empty()) {
    const auto tag = take_varint(in);
    if (!tag || *tag >> 3 == 0) return false;
    switch (*tag & 7) {
      case kVarint: {
        const auto v = take_varint(in);
        if (!v) return false;
        if (*tag >> 3 == 1) row.id = static_cast<std::int64_t>(*v);
        if (*tag >> 3 == 2) row.ttl_seconds = static_cast<std::int64_t>(*v);
        if (*tag >> 3 == 3) row.remaining_ttl_seconds = static_cast<std::int64_t>(*v);
        break;
      }
      case kFixed64:
        if (!skip(in, 8)) return false;
        break;
      case kLengthDelimited: {
        const auto length = take_varint(in);
        if (!length || !skip(in, *length)) return false;
        break;
      }
      case kFixed32:
        if (!skip(in, 4)) return false;
        break;
      default: return false;
    }
  }
  return true;
}

}  // namespace

base::Bytes encode_lease_key(LeaseId id) {
  base::Bytes key(8, '\0');
  base::put_be64(key.data(), static_cast<std::uint64_t>(id));
  return key;
}

base::Bytes encode_lease_row(const LeaseRow& row) {
  base::Bytes out;
  append_field(out, 1, row.id);
  append_field(out, 2, row.ttl_seconds);
  append_field(out, 3, row.remaining_ttl_seconds);
  return out;
}

base::Result<LeaseRow> decode_lease_row(base::BytesView key, base::BytesView value) {
  LeaseRow row;
  if (!parse(value, row)) return base::Error(Errc::kCorruptRow, "key " + base::hex(key) + ": not a lease message");
  if (key.size() != 8 || row.id == 0 || base::get_be64(key.data()) != static_cast<std::uint64_t>(row.id)) {
    return base::Error(Errc::kCorruptRow, "key " + base::hex(key) + " holds lease " + base::hex(static_cast<std::uint64_t>(row.id)));
  }
  return row;
}

}  // namespace etcdpp::lease
