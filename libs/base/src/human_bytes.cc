#include <etcdpp/base/human_bytes.h>

#include <array>
#include <cmath>
#include <cstdio>

namespace etcdpp::base {

std::string human_bytes(std::uint64_t bytes) {
  static constexpr std::array kUnits{"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 10) return std::to_string(bytes) + " B";
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  value = std::floor(value * 10 + 0.5) / 10;
  char out[32];
  std::snprintf(out, sizeof out, value < 10 ? "%.1f %s" : "%.0f %s", value, kUnits[unit]);
  return out;
}

}  // namespace etcdpp::base
