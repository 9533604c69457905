#pragma once

#include <cstdint>

namespace etcdpp::base {

/// A seeded generator (splitmix64): the same seed gives the same numbers everywhere.
/// Threads: one owner. Not for secrets; those come from the kernel.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

/// A seed from the kernel, for the one generator that a daemon starts from.
std::uint64_t random_seed();

}  // namespace etcdpp::base
