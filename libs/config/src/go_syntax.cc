#include "go_syntax.h"

#include <limits>

namespace etcdpp::config {

std::string quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::optional<bool> parse_go_bool(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

NumberError parse_go_unsigned(std::string_view text, std::uint64_t& out) {
  unsigned base = 10;
  bool after_prefix = false;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 8;
    text.remove_prefix(mark == 'x' || mark == 'o' || mark == 'b' ? 2 : 1);
    after_prefix = true;
  }
  if (text.empty()) return NumberError::kSyntax;
  std::uint64_t value = 0;
  bool range = false;
  // An underscore may follow a digit or the prefix, and a digit must follow it.
  bool separable = after_prefix, digit = false;
  for (const char c : text) {
    if (c == '_') {
      if (!separable) return NumberError::kSyntax;
      separable = digit = false;
      continue;
    }
    unsigned d = 99;
    if (c >= '0' && c <= '9') d = static_cast<unsigned>(c - '0');
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') d = static_cast<unsigned>((c | 0x20) - 'a') + 10;
    if (d >= base) return NumberError::kSyntax;
    if (value > (std::numeric_limits<std::uint64_t>::max() - d) / base) range = true;
    else value = value * base + d;
    separable = digit = true;
  }
  if (!digit) return NumberError::kSyntax;
  if (range) return NumberError::kRange;
  out = value;
  return NumberError::kNone;
}

NumberError parse_go_signed(std::string_view text, std::int64_t& out) {
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  std::uint64_t magnitude = 0;
  if (const auto error = parse_go_unsigned(text, magnitude); error != NumberError::kNone) return error;
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  if (magnitude > kMost + (negative ? 1 : 0)) return NumberError::kRange;
  out = negative ? static_cast<std::int64_t>(0 - magnitude) : static_cast<std::int64_t>(magnitude);
  return NumberError::kNone;
}

}  // namespace etcdpp::config
