#include <etcdpp/config/duration.h>

#include <array>
#include <cstdint>
#include <limits>
#include <utility>

#include <etcdpp/config/errc.h>

#include "go_syntax.h"

namespace etcdpp::config {

namespace {

constexpr std::uint64_t kMicrosecond = 1000, kMillisecond = 1000 * kMicrosecond, kSecond = 1000 * kMillisecond;

/// `value` / `unit` as a decimal without trailing zeros.
std::string decimal(std::uint64_t value, std::uint64_t unit) {
  std::string text = std::to_string(value / unit);
  std::uint64_t rest = value % unit;
  if (rest == 0) return text;
  text += '.';
  while (rest != 0) {
    rest *= 10;
    text += static_cast<char>('0' + rest / unit);
    rest %= unit;
  }
  return text;
}

}  // namespace

std::string go_duration(base::Duration d) {
  const std::int64_t signed_ns = d.count();
  const std::uint64_t ns = signed_ns < 0 ? 0 - static_cast<std::uint64_t>(signed_ns) : static_cast<std::uint64_t>(signed_ns);
  std::string text = signed_ns < 0 ? "-" : "";
  if (ns == 0) return "0s";
  if (ns < kMicrosecond) return text + std::to_string(ns) + "ns";
  if (ns < kMillisecond) return text + decimal(ns, kMicrosecond) + "µs";
  if (ns < kSecond) return text + decimal(ns, kMillisecond) + "ms";
  const std::uint64_t minutes = ns / (60 * kSecond), hours = minutes / 60;
  if (hours > 0) text += std::to_string(hours) + "h";
  if (minutes > 0) text += std::to_string(minutes % 60) + "m";
  return text + decimal(ns % (60 * kSecond), kSecond) + "s";
}

base::Result<base::Duration> parse_go_duration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 8> kUnits{{{"ns", 1},
                                                                                    {"us", kMicrosecond},
                                                                                    {"µs", kMicrosecond},
                                                                                    {"μs", kMicrosecond},
                                                                                    {"ms", kMillisecond},
                                                                                    {"s", kSecond},
                                                                                    {"m", 60 * kSecond},
                                                                                    {"h", 3600 * kSecond}}};
  const auto refuse = [&](std::string what) {
    return base::Error(Errc::kInvalidFlag, "time: " + std::move(what) + " duration " + quoted(text));
  };
  constexpr unsigned __int128 kLimit = std::numeric_limits<std::int64_t>::max();
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  if (rest == "0") return base::Duration::zero();
  if (rest.empty()) return refuse("invalid");
  unsigned __int128 total = 0;
  while (!rest.empty()) {
    unsigned __int128 whole = 0, fraction = 0, scale = 1;
    std::size_t digits = 0;
    while (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') {
      whole = whole * 10 + static_cast<unsigned>(rest[0] - '0');
      if (whole > kLimit) return refuse("invalid");
      rest.remove_prefix(1);
      ++digits;
    }
    if (!rest.empty() && rest[0] == '.') {
      rest.remove_prefix(1);
      while (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') {
        if (scale < 1'000'000'000'000'000ULL) {
          fraction = fraction * 10 + static_cast<unsigned>(rest[0] - '0');
          scale *= 10;
        }
        rest.remove_prefix(1);
        ++digits;
      }
    }
    if (digits == 0) return refuse("invalid");
    const std::size_t unit_length = std::min(rest.find_first_of(".0123456789"), rest.size());
    const std::string_view unit = rest.substr(0, unit_length);
    if (unit.empty()) return refuse("missing unit in");
    std::uint64_t factor = 0;
    for (const auto& [name, size] : kUnits) {
      if (name == unit) factor = size;
    }
    if (factor == 0) return refuse("unknown unit " + quoted(unit) + " in");
    rest.remove_prefix(unit_length);
    total += whole * factor + fraction * factor / scale;
    if (total > kLimit) return refuse("invalid");
  }
  const auto ns = static_cast<std::int64_t>(total);
  return base::Duration(negative ? -ns : ns);
}

}  // namespace etcdpp::config
