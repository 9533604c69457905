#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace etcdpp::server {

/// A number that one thread (or whoever holds a loop's step) adds to and any thread reads. Costs a load and a store.
class OwnedCounter {
 public:
  void add(std::uint64_t n) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// A number that many threads add to at once: each has a cell of its own (up to kCells threads; more share), so that no two
/// cores fight for a cache line.
class Counter {
 public:
  void add(std::uint64_t n = 1) { cells_[cell()].value.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const {
    std::uint64_t sum = 0;
    for (const Cell& c : cells_) sum += c.value.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  static constexpr unsigned kCells = 8;
  struct alignas(64) Cell {
    std::atomic<std::uint64_t> value{0};
  };
  static unsigned cell() {
    static std::atomic<unsigned> next{0};
    static thread_local const unsigned mine = next.fetch_add(1, std::memory_order_relaxed) % kCells;
    return mine;
  }

  std::array<Cell, kCells> cells_;
};

}  // namespace etcdpp::server
