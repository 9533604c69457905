#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace etcdpp::net {

/// The memory that nghttp2 takes and gives back with every call, for the sessions of one I/O thread.
///
/// The block given back last is handed out first, while it is still in the processor's caches. A general allocator goes
/// round all the blocks that it once had to make, and after a burst of calls those are more than the caches hold.
///
/// Threads: its I/O thread's. Bound: of what was given back kKept bytes are kept. Memory: outlives the sessions.
class BlockPool {
 public:
  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();

  void* allocate(std::size_t bytes);
  /// As std::calloc's: zeros, null if count × bytes is more than can be.
  void* allocate_zeros(std::size_t count, std::size_t bytes);
  /// As std::realloc's.
  void* reallocate(void* block, std::size_t bytes);
  void release(void* block);
  std::size_t kept_bytes() const { return kept_; }

  static constexpr std::size_t kKept = 4u << 20;

 private:
  static constexpr std::size_t kGrain = 32;
  static constexpr std::size_t kLargest = 1024;

  /// Stands before each block.
  struct alignas(std::max_align_t) Head {
    std::size_t bytes;  // of the block
    Head* next;         // while it is kept
  };
  static Head* head_of(void* block) { return static_cast<Head*>(block) - 1; }

  std::array<Head*, kLargest / kGrain + 1> idle_{};
  std::size_t kept_ = 0;
};

}  // namespace etcdpp::net
