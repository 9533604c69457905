#include "index_memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#include <etcdpp/base/assert.h>

namespace etcdpp::mvcc {

// Under AddressSanitizer every piece is an allocation of its own, so that a use after release is seen.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSlabs = false;
#else
constexpr bool kSlabs = true;
#endif

void IndexMemory::Unmap::operator()(std::byte* slab) const {
  ::munmap(slab, kSlab);
}

// Searches jump all over the slabs, and with small pages most of a jump is the walk of the page table. So a slab is
// what the system can make a huge page of; straight from it, because a general allocator would keep what surrounds it.
IndexMemory::Slab IndexMemory::map_slab() {
  void* mapped = ::mmap(nullptr, 2 * kSlab, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ETCDPP_ASSERT(mapped != MAP_FAILED, "out of memory for the key index");
  auto* begin = static_cast<std::byte*>(mapped);
  const std::size_t before = (kSlab - reinterpret_cast<std::uintptr_t>(begin) % kSlab) % kSlab;
  if (before > 0) ::munmap(begin, before);
  ::munmap(begin + before + kSlab, kSlab - before);
  ::madvise(begin + before, kSlab, MADV_HUGEPAGE);
  return Slab(begin + before);
}

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
    slabs_.push_back(map_slab());
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
