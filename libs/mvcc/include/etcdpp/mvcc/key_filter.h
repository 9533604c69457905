#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <etcdpp/base/bytes.h>

namespace etcdpp::mvcc {

/// Which keys somebody wants, roughly: a Bloom filter of two bits a key in 32 KiB. What was added is always found; of other
/// keys one in seven hundred is when there are 5,000, one in ten when there are 50,000.
///
/// Threads: one owner at a time. Nothing can be taken out: whoever has less to add makes a new one.
class KeyFilter {
 public:
  static std::uint64_t hash(base::BytesView key) { return std::hash<base::BytesView>{}(key); }

  void add(base::BytesView key) {
    if (bits_.empty()) bits_.resize(kBits / 64);
    const std::uint64_t h = hash(key);
    for (const std::uint64_t bit : {h % kBits, (h >> 32) % kBits}) bits_[bit / 64] |= std::uint64_t{1} << bit % 64;
  }
  /// A range may want any key.
  void add_all() { all_ = true; }

  bool may_want(std::uint64_t h) const {
    if (all_) return true;
    if (bits_.empty()) return false;
    return has(h % kBits) && has((h >> 32) % kBits);
  }

 private:
  static constexpr std::uint64_t kBits = 1 << 18;
  bool has(std::uint64_t bit) const { return (bits_[bit / 64] >> bit % 64 & 1) != 0; }

  std::vector<std::uint64_t> bits_;
  bool all_ = false;
};

}  // namespace etcdpp::mvcc
