#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

namespace etcdpp::mvcc {

/// Memory of index nodes and keys: pieces of one size class come from slabs and go back to a list of their class.
///
/// A key with one revision takes what its bytes need, rounded to eight, and no allocator's header: at a million keys
/// that is a fifth of the index. Slabs stay until the index goes. Threads: the index's owner.
class IndexMemory {
 public:
  IndexMemory() = default;
  IndexMemory(const IndexMemory&) = delete;
  IndexMemory& operator=(const IndexMemory&) = delete;

  void* allocate(std::size_t bytes);
  /// `bytes` as given to allocate().
  void release(void* piece, std::size_t bytes);
  std::size_t total_bytes() const { return total_; }

 private:
  static constexpr std::size_t kGrain = 8;
  static constexpr std::size_t kLargest = 2048;  // above: the system's allocator
  static constexpr std::size_t kSlab = 2 << 20;  // and so aligned: a huge page where the system gives one

  struct Free {
    Free* next;
  };
  std::array<Free*, kLargest / kGrain + 1> free_{};
  struct Unmap {
    void operator()(std::byte* slab) const;
  };
  using Slab = std::unique_ptr<std::byte, Unmap>;
  static Slab map_slab();

  std::vector<Slab> slabs_;
  std::byte* at_ = nullptr;
  std::size_t left_ = 0;
  std::size_t total_ = 0;
};

}  // namespace etcdpp::mvcc
