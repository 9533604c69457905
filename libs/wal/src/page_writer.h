#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/env.h>

namespace etcdpp::wal {

/// A buffer in front of the tail segment that writes whole 4096-byte pages of the file whenever it must write before
/// flush(): a write torn by a crash then leaves whole sectors of preallocated zeros, which the reader recognises.
/// One owner. Nothing is durable here.
class PageWriter {
 public:
  static constexpr std::size_t kPageSize = 4096;
  static constexpr std::size_t kBufferSize = 128 * 1024;

  /// Appends to `file` from `offset` on; the file outlives the writer or reset().
  PageWriter(base::File& file, std::uint64_t offset, std::function<void(std::size_t)> on_write);

  /// Goes on in another file. What is buffered must have been flushed.
  void reset(base::File& file, std::uint64_t offset);

  /// Room for `size` bytes inside the buffer, to be filled by the caller and counted at once; null when they do not fit.
  char* reserve(std::size_t size) {
    if (buffered_ + size > kBufferSize) return nullptr;
    char* room = buffer_.get() + buffered_;
    buffered_ += size;
    return room;
  }

  base::Result<> write(base::BytesView bytes);
  /// Writes everything that is buffered, in one call.
  base::Result<> flush();

  /// Bytes that have left the buffer: the position in the file.
  std::uint64_t flushed_offset() const { return flushed_offset_; }
  /// Where the next byte goes.
  std::uint64_t offset() const { return flushed_offset_ + buffered_; }

 private:
  base::Result<> write_through(base::BytesView bytes);

  base::File* file_;
  std::uint64_t flushed_offset_;
  std::size_t buffered_ = 0;
  /// One page of slack: the last page of a full buffer is completed in place.
  std::unique_ptr<char[]> buffer_;
  std::function<void(std::size_t)> on_write_;
};

}  // namespace etcdpp::wal
