#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace etcdpp::net {

/// Bytes on their way to a socket: one per I/O thread, filled by a session and written at once. Grows past its soft
/// limit only by the frame that crosses it.
class OutBuffer {
 public:
  explicit OutBuffer(std::size_t soft_limit) : soft_limit_(soft_limit) {}

  /// full() from here on; what is reserved fits all the same.
  void set_soft_limit(std::size_t bytes) { soft_limit_ = bytes; }
  bool full() const { return size_ >= soft_limit_; }
  std::size_t size() const { return size_; }
  std::string_view view() const { return {data_.get(), size_}; }
  void clear() { size_ = 0; }

  /// Uninitialised room for `bytes` behind what is there; commit says how much of it was used.
  char* reserve(std::size_t bytes) {
    if (size_ + bytes > capacity_) grow(size_ + bytes);
    return data_.get() + size_;
  }
  void commit(std::size_t bytes) { size_ += bytes; }
  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(reserve(bytes.size()), bytes.data(), bytes.size());
    commit(bytes.size());
  }

 private:
  void grow(std::size_t at_least) {
    const std::size_t capacity = std::max({at_least, capacity_ * 2, std::size_t{32 * 1024}});
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    if (size_ > 0) std::memcpy(larger.get(), data_.get(), size_);
    data_ = std::move(larger);
    capacity_ = capacity;
  }

  std::size_t soft_limit_;
  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace etcdpp::net
