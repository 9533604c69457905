#include "block_pool.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace etcdpp::net {

// Under AddressSanitizer every block goes back at once, so that a use after release is seen.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kKeep = false;
#else
constexpr bool kKeep = true;
#endif

BlockPool::~BlockPool() {
  for (Head* head : idle_)
    while (head) ::operator delete(std::exchange(head, head->next));
}

void* BlockPool::allocate(std::size_t bytes) {
  if (bytes > std::numeric_limits<std::size_t>::max() - sizeof(Head) - kGrain) return nullptr;
  const std::size_t rounded = (bytes + kGrain - 1) / kGrain * kGrain;
  if (rounded <= kLargest) {
    Head*& idle = idle_[rounded / kGrain];
    if (Head* head = idle) {
      idle = head->next;
      kept_ -= rounded;
      return head + 1;
    }
  }
  // nghttp2 answers NGHTTP2_ERR_NOMEM to null.
  void* memory = ::operator new(sizeof(Head) + rounded, std::nothrow);
  return memory ? new (memory) Head{rounded, nullptr} + 1 : nullptr;
}

void* BlockPool::allocate_zeros(std::size_t count, std::size_t bytes) {
  if (bytes != 0 && count > std::numeric_limits<std::size_t>::max() / bytes) return nullptr;
  void* block = allocate(count * bytes);
  if (block) std::memset(block, 0, count * bytes);
  return block;
}

void* BlockPool::reallocate(void* block, std::size_t bytes) {
  if (!block) return allocate(bytes);
  const std::size_t had = head_of(block)->bytes;
  if (bytes <= had && had <= kLargest) return block;
  void* moved = allocate(bytes);
  if (!moved) return nullptr;
  std::memcpy(moved, block, std::min(had, bytes));
  release(block);
  return moved;
}

void BlockPool::release(void* block) {
  if (!block) return;
  Head* head = head_of(block);
  const std::size_t bytes = head->bytes;
  if (!kKeep || bytes > kLargest || kept_ + bytes > kKept) return ::operator delete(head);
  Head*& idle = idle_[bytes / kGrain];
  head->next = idle;
  idle = head;
  kept_ += bytes;
}

}  // namespace etcdpp::net
