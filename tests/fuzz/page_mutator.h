#pragma once

#include <cstdint>
#include <cstring>

#include <etcdpp/base/random.h>

namespace etcdpp::fuzz {

/// An input that is an array of pages, and the numbers that those who read one may trip over.
struct Pages {
  base::Random& random;
  char* bytes;
  std::size_t size;
  std::uint64_t page_size;
  std::uint64_t count = size < 2 * page_size ? 1 : size / page_size;

  /// Small, the number of a page or of the first behind the last, a place in a page, a power of two, ones only.
  std::uint64_t number() {
    switch (random.below(5)) {
      case 0: return random.below(4);
      case 1: return random.below(count + 2);
      case 2: return ~std::uint64_t{0} >> random.below(64);
      case 3: return random.below(page_size * 2);
      default: return std::uint64_t{1} << random.below(64);
    }
  }
  void put(std::uint64_t at, std::uint64_t value, std::size_t width) {
    if (at + width <= size) std::memcpy(bytes + at, &value, width);
  }
  /// Another page, or the same, over the one at `start`.
  void copy_over(std::uint64_t start) {
    const std::uint64_t from = random.below(count) * page_size;
    if (start + page_size <= size && from + page_size <= size) std::memmove(bytes + start, bytes + from, page_size);
  }
};

}  // namespace etcdpp::fuzz
