#include <etcdpp/net/grpc_call.h>

#include <array>
#include <cstdint>
#include <limits>

#include <etcdpp/base/assert.h>

namespace etcdpp::net {

void CallRef::reset() {
  GrpcCall* call = std::exchange(call_, nullptr);
  if (call == nullptr) return;
  Executor& executor = call->executor();
  if (executor.is_current()) {
    call->release();
  } else {
    executor.post([call] { call->release(); });
  }
}

void GrpcCall::release() {
  ETCDPP_ASSERT(references_ > 0, "a call was let go more often than it was held");
  if (--references_ == 0) on_unreferenced();
}

std::optional<std::string> GrpcCall::binary_metadata(std::string_view key) const {
  const std::string_view text = metadata(key);
  if (text.data() == nullptr) return std::nullopt;
  std::string out;
  if (!decode_binary_header(text, out)) return std::nullopt;
  return out;
}

bool decode_binary_header(std::string_view text, std::string& out) {
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.size() % 4 == 1) return false;
  out.clear();
  out.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    std::uint32_t digit;
    if (c >= 'A' && c <= 'Z') digit = static_cast<std::uint32_t>(c - 'A');
    else if (c >= 'a' && c <= 'z') digit = static_cast<std::uint32_t>(c - 'a') + 26;
    else if (c >= '0' && c <= '9') digit = static_cast<std::uint32_t>(c - '0') + 52;
    else if (c == '+') digit = 62;
    else if (c == '/') digit = 63;
    else return false;
    bits = bits << 6 | digit;
    have += 6;
    if (have >= 8) {
      have -= 8;
      out.push_back(static_cast<char>(bits >> have & 0xff));
    }
  }
  return true;
}

std::optional<base::Duration> parse_grpc_timeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  std::int64_t number = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  std::int64_t unit = 0;
  switch (text.back()) {
    case 'H': unit = 3'600'000'000'000; break;
    case 'M': unit = 60'000'000'000; break;
    case 'S': unit = 1'000'000'000; break;
    case 'm': unit = 1'000'000; break;
    case 'u': unit = 1'000; break;
    case 'n': unit = 1; break;
    default: return std::nullopt;
  }
  if (number > std::numeric_limits<std::int64_t>::max() / unit) return base::Duration::max();
  return base::Duration(number * unit);
}

namespace {

/// Length of the well-formed UTF-8 sequence that `text` begins with; 0 if there is none (RFC 3629, table 3-7 of Unicode).
std::size_t utf8_sequence(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80, high = first == 0xed ? 0x9f : 0xbf;
    return byte(1) >= low && byte(1) <= high && continues(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80, high = first == 0xf4 ? 0x8f : 0xbf;
    return byte(1) >= low && byte(1) <= high && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string percent_encode_message(std::string_view message) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(message.size());
  const auto encode = [&](char c) {
    out.push_back('%');
    out.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    out.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  };
  while (!message.empty()) {
    const std::size_t length = utf8_sequence(message);
    if (length == 0) {
      for (const char c : std::string_view("\xef\xbf\xbd")) encode(c);
      message.remove_prefix(1);
      continue;
    }
    const char c = message[0];
    if (length == 1 && c >= ' ' && c <= '~' && c != '%') {
      out.push_back(c);
    } else {
      for (std::size_t i = 0; i < length; ++i) encode(message[i]);
    }
    message.remove_prefix(length);
  }
  return out;
}

}  // namespace etcdpp::net
