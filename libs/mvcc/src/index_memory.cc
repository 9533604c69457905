#include "index_memory.h"

#include <new>

namespace etcdpp::mvcc {

// Under AddressSanitizer every piece is an allocation of its own, so that a use after release is seen.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSlabs = false;
#else
constexpr bool kSlabs = true;
#endif

void* IndexMemory::allocate(std::size_t bytes) {
  const std::size_t size_class = (bytes + kGrain - 1) / kGrain;
  if (!kSlabs || bytes > kLargest) {
    total_ += bytes;
    return ::operator new(bytes);
  }
  if (Free* piece = free_[size_class]) {
    free_[size_class] = piece->next;
    return piece;
  }
  const std::size_t rounded = size_class * kGrain;
  if (rounded > left_) {
    // What is left of the old slab serves smaller pieces.
    while (left_ >= kGrain) {
      const std::size_t part = left_ < kLargest ? left_ : kLargest;
      release(at_, part);
      at_ += part;
      left_ -= part;
    }
    slabs_.push_back(std::unique_ptr<std::byte[]>(new std::byte[kSlab]));
    at_ = slabs_.back().get();
    left_ = kSlab;
    total_ += kSlab;
  }
  void* piece = at_;
  at_ += rounded;
  left_ -= rounded;
  return piece;
}

void IndexMemory::release(void* piece, std::size_t bytes) {
  if (!kSlabs || bytes > kLargest) {
    total_ -= bytes;
    ::operator delete(piece);
    return;
  }
  const std::size_t size_class = (bytes + kGrain - 1) / kGrain;
  free_[size_class] = new (piece) Free{free_[size_class]};
}

}  // namespace etcdpp::mvcc
