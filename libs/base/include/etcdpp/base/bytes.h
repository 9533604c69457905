#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace etcdpp::base {

/// Keys, values and frames are byte strings; a view borrows them for the call.
using Bytes = std::string;
using BytesView = std::string_view;

inline void put_be64(char* out, std::uint64_t v) {
  v = __builtin_bswap64(v);
  std::memcpy(out, &v, 8);
}
inline std::uint64_t get_be64(const char* in) {
  std::uint64_t v;
  std::memcpy(&v, in, 8);
  return __builtin_bswap64(v);
}
inline void put_le64(char* out, std::uint64_t v) { std::memcpy(out, &v, 8); }
inline std::uint64_t get_le64(const char* in) {
  std::uint64_t v;
  std::memcpy(&v, in, 8);
  return v;
}

/// Lower-case hexadecimal of every byte, and of a number without padding (how etcd prints ids).
std::string hex(BytesView bytes);
std::string hex(std::uint64_t id);

/// Escapes everything that a terminal might obey: what is not printable ASCII becomes \xNN, a backslash is doubled.
std::string printable(BytesView bytes);

/// Immutable bytes with one owner count: an entry's payload from socket to log to peers to apply, never copied.
///
/// Threads: copies may live in any thread; the bytes never change after construction.
class SharedBytes {
 public:
  SharedBytes() = default;
  /// Copies `bytes` once, into one allocation.
  explicit SharedBytes(BytesView bytes) : SharedBytes(bytes.size()) {
    if (!bytes.empty()) std::memcpy(mutable_data(), bytes.data(), bytes.size());
  }
  /// Uninitialised room for `size` bytes; the maker fills it through mutable_data() before anyone else sees it.
  explicit SharedBytes(std::size_t size) {
    if (size == 0) return;
    block_ = static_cast<Block*>(::operator new(sizeof(Block) + size));
    new (block_) Block{{1}, size};
  }
  SharedBytes(const SharedBytes& other) noexcept : block_(other.block_) {
    if (block_) block_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  SharedBytes(SharedBytes&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  SharedBytes& operator=(SharedBytes other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~SharedBytes() {
    if (block_ && block_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) ::operator delete(block_);
  }

  std::size_t size() const { return block_ ? block_->size : 0; }
  bool empty() const { return size() == 0; }
  const char* data() const { return block_ ? reinterpret_cast<const char*>(block_ + 1) : nullptr; }
  BytesView view() const { return {data(), size()}; }
  char* mutable_data() { return reinterpret_cast<char*>(block_ + 1); }

  friend bool operator==(const SharedBytes& a, const SharedBytes& b) { return a.view() == b.view(); }

 private:
  struct Block {
    std::atomic<std::uint32_t> owners;
    std::size_t size;
  };
  Block* block_ = nullptr;
};

}  // namespace etcdpp::base
