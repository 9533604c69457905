#include "go_text.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

namespace etcdpp::ctl {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr std::uint32_t kBadRune = 0xFFFFFFFF;

/// The code point at the start of `bytes` and its length; kBadRune and 1 if it is not UTF-8.
std::uint32_t decode(std::string_view bytes, std::size_t& length) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  length = 1;
  const unsigned char first = at(0);
  if (first < 0x80) return first;
  std::size_t n = first >= 0xF0 && first < 0xF5 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
  if (first >= 0xF5) n = 0;
  if (n == 0 || bytes.size() < n) return kBadRune;
  std::uint32_t rune = first & (0xFF >> (n + 1));
  for (std::size_t i = 1; i < n; ++i) {
    if ((at(i) & 0xC0) != 0x80) return kBadRune;
    rune = rune << 6 | (at(i) & 0x3F);
  }
  const std::uint32_t least = n == 2 ? 0x80 : n == 3 ? 0x800 : 0x10000;
  if (rune < least || rune > 0x10FFFF || (rune >= 0xD800 && rune < 0xE000)) return kBadRune;
  length = n;
  return rune;
}

bool printable(std::uint32_t rune) {
  if (rune < 0x7F) return rune >= 0x20;
  if (rune <= 0xA0 || rune == 0xAD) return false;
  if (rune >= 0x2000 && rune <= 0x200F) return false;
  if (rune >= 0x2028 && rune <= 0x202F) return false;
  if (rune >= 0x205F && rune <= 0x206F) return false;
  if (rune == 0x3000 || rune == 0xFEFF || (rune >= 0xE000 && rune <= 0xF8FF) || rune >= 0xE0000) return false;
  return (rune & 0xFFFE) != 0xFFFE;
}

void append_escaped_rune(std::string& out, std::uint32_t rune) {
  const int digits = rune < 0x80 ? 2 : rune < 0x10000 ? 4 : 8;
  out += digits == 2 ? "\\x" : digits == 4 ? "\\u" : "\\U";
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) out += kHex[rune >> shift & 0xF];
}

void append_utf8(std::string& out, std::uint32_t rune) {
  if (rune < 0x80) {
    out += static_cast<char>(rune);
  } else if (rune < 0x800) {
    out += static_cast<char>(0xC0 | rune >> 6);
    out += static_cast<char>(0x80 | (rune & 0x3F));
  } else if (rune < 0x10000) {
    out += static_cast<char>(0xE0 | rune >> 12);
    out += static_cast<char>(0x80 | (rune >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (rune & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | rune >> 18);
    out += static_cast<char>(0x80 | (rune >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (rune >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (rune & 0x3F));
  }
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

/// Takes exactly `count` digits of `base`.
bool take_digits(std::string_view& text, std::size_t count, unsigned base, std::uint32_t& value) {
  if (text.size() < count) return false;
  value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto digit = static_cast<unsigned>(digit_value(text[i]));
    if (digit >= base) return false;
    value = value * base + digit;
  }
  text.remove_prefix(count);
  return true;
}

/// One escape after its backslash.
bool take_escape(std::string_view& text, std::string& out) {
  if (text.empty()) return false;
  const char c = text.front();
  text.remove_prefix(1);
  static constexpr std::string_view kNames = "abfnrtv\\\"'";
  static constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\\"'";
  if (auto at = kNames.find(c); at != std::string_view::npos) {
    out += kValues[at];
    return true;
  }
  std::uint32_t value = 0;
  switch (c) {
    case 'x':
      if (!take_digits(text, 2, 16, value)) return false;
      out += static_cast<char>(value);
      return true;
    case 'u':
    case 'U':
      if (!take_digits(text, c == 'u' ? 4 : 8, 16, value)) return false;
      if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return false;
      append_utf8(out, value);
      return true;
    default:
      break;
  }
  if (c < '0' || c > '7') return false;
  std::uint32_t rest = 0;
  if (!take_digits(text, 2, 8, rest)) return false;
  value = static_cast<std::uint32_t>(c - '0') * 64 + rest;
  if (value > 255) return false;
  out += static_cast<char>(value);
  return true;
}

std::string number_error(const char* function, std::string_view text, const char* why) {
  return std::string("strconv.") + function + ": parsing " + go_quote(text) + ": " + why;
}

/// Digits of a magnitude up to `limit`. Null if fine, else why not.
const char* parse_magnitude(std::string_view digits, int base, std::uint64_t limit, std::uint64_t& value) {
  if (base == 0) {
    base = 10;
    if (digits.size() > 1 && digits[0] == '0') {
      const char kind = static_cast<char>(digits[1] | 0x20);
      base = kind == 'x' ? 16 : kind == 'b' ? 2 : 8;
      digits.remove_prefix(kind == 'x' || kind == 'b' || kind == 'o' ? 2 : 1);
    }
  }
  if (digits.empty()) return "invalid syntax";
  value = 0;
  bool too_large = false;
  for (char c : digits) {
    const int digit = digit_value(c);
    if (digit >= base) return "invalid syntax";
    if (__builtin_mul_overflow(value, static_cast<std::uint64_t>(base), &value) ||
        __builtin_add_overflow(value, static_cast<std::uint64_t>(digit), &value) || value > limit)
      too_large = true;
  }
  return too_large ? "value out of range" : nullptr;
}

}  // namespace

std::string go_quote(std::string_view bytes) {
  std::string out = "\"";
  while (!bytes.empty()) {
    std::size_t length = 0;
    const std::uint32_t rune = decode(bytes, length);
    static constexpr std::string_view kNames = "abfnrtv\\\"";
    static constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\\"";
    if (rune == kBadRune) {
      append_escaped_rune(out, 0);
      out.resize(out.size() - 2);
      out += kHex[static_cast<unsigned char>(bytes[0]) >> 4];
      out += kHex[static_cast<unsigned char>(bytes[0]) & 0xF];
    } else if (auto at = rune < 0x80 ? kValues.find(static_cast<char>(rune)) : std::string_view::npos;
               at != std::string_view::npos) {
      out += '\\';
      out += kNames[at];
    } else if (printable(rune)) {
      out += bytes.substr(0, length);
    } else {
      append_escaped_rune(out, rune);
    }
    bytes.remove_prefix(length);
  }
  return out + '"';
}

bool take_go_string(std::string_view& text, std::string& out) {
  std::string_view rest = text;
  if (rest.empty()) return false;
  const char quote = rest.front();
  rest.remove_prefix(1);
  std::string value;
  if (quote == '`') {
    const auto end = rest.find('`');
    if (end == std::string_view::npos) return false;
    value = rest.substr(0, end);
    rest.remove_prefix(end + 1);
  } else if (quote == '"') {
    for (;;) {
      if (rest.empty()) return false;
      const char c = rest.front();
      rest.remove_prefix(1);
      if (c == '"') break;
      if (c == '\\') {
        if (!take_escape(rest, value)) return false;
      } else {
        value += c;
      }
    }
  } else {
    return false;
  }
  out = std::move(value);
  text = rest;
  return true;
}

std::string json_quote(std::string_view bytes) {
  std::string out = "\"";
  while (!bytes.empty()) {
    std::size_t length = 0;
    const std::uint32_t rune = decode(bytes, length);
    if (rune == kBadRune) {
      out += "\\ufffd";
    } else if (rune == '"' || rune == '\\') {
      out += '\\';
      out += static_cast<char>(rune);
    } else if (rune == '\b' || rune == '\f' || rune == '\n' || rune == '\r' || rune == '\t') {
      out += '\\';
      out += rune == '\b' ? 'b' : rune == '\f' ? 'f' : rune == '\n' ? 'n' : rune == '\r' ? 'r' : 't';
    } else if (rune < 0x20 || rune == '<' || rune == '>' || rune == '&' || rune == 0x2028 || rune == 0x2029) {
      out += "\\u";
      for (int shift = 12; shift >= 0; shift -= 4) out += kHex[rune >> shift & 0xF];
    } else {
      out += bytes.substr(0, length);
    }
    bytes.remove_prefix(length);
  }
  return out + '"';
}

std::string base64(std::string_view bytes) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    out += kAlphabet[group >> 18];
    out += kAlphabet[group >> 12 & 63];
    out += i + 1 < bytes.size() ? kAlphabet[group >> 6 & 63] : '=';
    out += i + 2 < bytes.size() ? kAlphabet[group & 63] : '=';
  }
  return out;
}

std::string hex_escape(std::string_view bytes) {
  std::string out;
  for (unsigned char c : bytes) {
    out += "\\x";
    out += kHex[c >> 4];
    out += kHex[c & 0xF];
  }
  return out;
}

std::string hex16(std::uint64_t id) {
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; id >>= 4) out[i] = kHex[id & 0xF];
  return out;
}

std::string hex(std::uint64_t id) {
  std::string out = hex16(id);
  const auto first = out.find_first_not_of('0');
  return first == std::string::npos ? "0" : out.substr(first);
}

std::string go_duration(std::chrono::nanoseconds duration) {
  const std::int64_t count = duration.count();
  if (count == 0) return "0s";
  const std::uint64_t magnitude = count < 0 ? 0 - static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count);
  std::string out = count < 0 ? "-" : "";
  // A number of `unit` nanoseconds with the fraction that is not zero.
  const auto decimal = [&](std::uint64_t value, std::uint64_t unit) {
    std::string text = std::to_string(value / unit);
    if (std::uint64_t fraction = value % unit) {
      std::string digits = std::to_string(unit + fraction).substr(1);
      digits.erase(digits.find_last_not_of('0') + 1);
      text += '.' + digits;
    }
    return text;
  };
  if (magnitude < 1'000) return out + std::to_string(magnitude) + "ns";
  if (magnitude < 1'000'000) return out + decimal(magnitude, 1'000) + "µs";
  if (magnitude < 1'000'000'000) return out + decimal(magnitude, 1'000'000) + "ms";
  const std::uint64_t minutes = magnitude / 60'000'000'000;
  if (minutes >= 60) out += std::to_string(minutes / 60) + "h";
  if (minutes > 0) out += std::to_string(minutes % 60) + "m";
  return out + decimal(magnitude % 60'000'000'000, 1'000'000'000) + "s";
}

std::expected<std::chrono::nanoseconds, std::string> parse_duration(std::string_view text) {
  const auto invalid = [&] { return std::unexpected("time: invalid duration " + go_quote(text)); };
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  if (rest == "0") return std::chrono::nanoseconds(0);
  if (rest.empty()) return invalid();
  double total = 0;
  while (!rest.empty()) {
    double value = 0;
    double scale = 1;
    bool point = false;
    std::size_t used = 0;
    std::size_t digits = 0;
    for (; used < rest.size(); ++used) {
      const char c = rest[used];
      if (c == '.' && !point) {
        point = true;
      } else if (c >= '0' && c <= '9') {
        ++digits;
        value = value * 10 + (c - '0');
        if (point) scale *= 10;
      } else {
        break;
      }
    }
    if (digits == 0) return invalid();
    rest.remove_prefix(used);
    std::size_t end = 0;
    while (end < rest.size() && rest[end] != '.' && (rest[end] < '0' || rest[end] > '9')) ++end;
    const std::string_view unit = rest.substr(0, end);
    rest.remove_prefix(end);
    double factor = 0;
    if (unit.empty()) return std::unexpected("time: missing unit in duration " + go_quote(text));
    if (unit == "ns")
      factor = 1;
    else if (unit == "us" || unit == "µs" || unit == "μs")
      factor = 1e3;
    else if (unit == "ms")
      factor = 1e6;
    else if (unit == "s")
      factor = 1e9;
    else if (unit == "m")
      factor = 60e9;
    else if (unit == "h")
      factor = 3600e9;
    else
      return std::unexpected("time: unknown unit " + go_quote(unit) + " in duration " + go_quote(text));
    total += value / scale * factor;
  }
  if (total > 9.2e18) return invalid();
  return std::chrono::nanoseconds(static_cast<std::int64_t>(negative ? -total : total));
}

std::expected<std::int64_t, std::string> parse_int(std::string_view text, int base) {
  std::string_view digits = text;
  bool negative = false;
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) {
    negative = digits[0] == '-';
    digits.remove_prefix(1);
  }
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::uint64_t value = 0;
  if (const char* why = parse_magnitude(digits, base, kMax + (negative ? 1 : 0), value))
    return std::unexpected(number_error("ParseInt", text, why));
  return static_cast<std::int64_t>(negative ? 0 - value : value);
}

std::expected<std::uint64_t, std::string> parse_uint(std::string_view text, int base) {
  std::uint64_t value = 0;
  if (const char* why = parse_magnitude(text, base, std::numeric_limits<std::uint64_t>::max(), value))
    return std::unexpected(number_error("ParseUint", text, why));
  return value;
}

std::expected<bool, std::string> parse_bool(std::string_view text) {
  for (std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"})
    if (text == yes) return true;
  for (std::string_view no : {"0", "f", "F", "false", "FALSE", "False"})
    if (text == no) return false;
  return std::unexpected(number_error("ParseBool", text, "invalid syntax"));
}

}  // namespace etcdpp::ctl
