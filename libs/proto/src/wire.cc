#include <etcdpp/proto/wire.h>

#include <array>

namespace etcdpp::proto {

namespace {
// Go allows 10,000; nothing of etcd's has a group at all.
constexpr std::size_t kMaxGroupDepth = 64;
constexpr std::uint64_t kMaxFieldNumber = (1u << 29) - 1;
}  // namespace

bool WireReader::read_varint(std::uint64_t& value) {
  if (at_ < end_ && static_cast<unsigned char>(*at_) < 0x80) [[likely]] {
    value = static_cast<unsigned char>(*at_++);
    return true;
  }
  std::uint64_t result = 0;
  for (unsigned shift = 0; shift < 70 && at_ < end_; shift += 7) {
    const auto byte = static_cast<unsigned char>(*at_++);
    if (shift == 63 && byte > 1) return false;
    result |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      value = result;
      return true;
    }
  }
  return false;
}

bool WireReader::read_tag(std::uint32_t& number, WireType& type) {
  std::uint64_t tag = 0;
  if (!read_varint(tag)) return false;
  const std::uint64_t n = tag >> 3;
  if (n < 1 || n > kMaxFieldNumber || (tag & 7) > 5) return false;
  number = static_cast<std::uint32_t>(n);
  type = static_cast<WireType>(tag & 7);
  return true;
}

bool WireReader::read_value(WireType type) {
  const auto left = static_cast<std::uint64_t>(end_ - at_);
  switch (type) {
    case WireType::kVarint: return read_varint(value_);
    case WireType::kFixed64:
      if (left < 8) return false;
      at_ += 8;
      return true;
    case WireType::kFixed32:
      if (left < 4) return false;
      at_ += 4;
      return true;
    case WireType::kBytes: {
      std::uint64_t length = 0;
      if (!read_varint(length) || length > static_cast<std::uint64_t>(end_ - at_)) return false;
      bytes_ = {at_, static_cast<std::size_t>(length)};
      at_ += length;
      return true;
    }
    case WireType::kStartGroup:
    case WireType::kEndGroup: break;
  }
  return false;
}

bool WireReader::skip_group(std::uint32_t number) {
  std::array<std::uint32_t, kMaxGroupDepth> open;
  open[0] = number;
  std::size_t depth = 1;
  while (depth > 0) {
    std::uint32_t n = 0;
    WireType type{};
    if (!read_tag(n, type)) return false;
    if (type == WireType::kStartGroup) {
      if (depth == kMaxGroupDepth) return false;
      open[depth++] = n;
    } else if (type == WireType::kEndGroup) {
      if (open[--depth] != n) return false;
    } else if (!read_value(type)) {
      return false;
    }
  }
  return true;
}

bool WireReader::next() {
  while (at_ < end_) {
    if (!read_tag(number_, type_)) return fail();
    if (type_ == WireType::kStartGroup) {
      if (!skip_group(number_)) return fail();
      continue;
    }
    if (!read_value(type_)) return fail();
    return true;
  }
  return false;
}

}  // namespace etcdpp::proto
