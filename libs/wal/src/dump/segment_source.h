#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <etcdpp/base/env.h>

namespace etcdpp::wal {

/// A file of a log for those who only look: nothing in it can write, and it was opened for reading.
///
/// What the device cannot read (EIO) reads as zeros, a block at a time, and is counted: the rest of a file on a dying disk is
/// worth seeing. One owner.
class SegmentSource {
 public:
  static base::Result<SegmentSource> open(base::Env& env, const std::string& path) {
    SegmentSource source;
    ETCDPP_ASSIGN(source.file_, env.open(path, base::OpenMode::kReadOnly));
    // Also tells a pipe or a directory from a file.
    char byte = 0;
    ETCDPP_TRY(source.read_at(0, &byte, 1));
    return source;
  }

  const std::string& path() const { return file_->path(); }
  base::Result<std::uint64_t> size() const { return file_->size(); }
  base::Result<std::uint64_t> next_data(std::uint64_t offset) { return file_->next_data(offset); }

  base::Result<std::size_t> read_at(std::uint64_t offset, char* out, std::size_t length) {
    auto got = file_->read_at(offset, out, length);
    if (got || got.error().code != std::errc::io_error) return got;
    std::size_t done = 0;
    while (done < length) {
      const std::size_t piece = std::min<std::size_t>(length - done, kBlock - static_cast<std::size_t>((offset + done) % kBlock));
      got = file_->read_at(offset + done, out + done, piece);
      if (!got && got.error().code != std::errc::io_error) return got;
      if (!got) {
        std::fill_n(out + done, piece, '\0');
        unreadable_bytes_ += piece;
        first_unreadable_ = std::min(first_unreadable_, offset + done);
      } else if (*got < piece) {
        return done + *got;
      }
      done += piece;
    }
    return length;
  }

  /// How often the device answered with an error, in bytes; and where first.
  std::uint64_t unreadable_bytes() const { return unreadable_bytes_; }
  std::uint64_t first_unreadable() const { return first_unreadable_; }

 private:
  static constexpr std::size_t kBlock = 4096;
  std::unique_ptr<base::File> file_;
  std::uint64_t unreadable_bytes_ = 0;
  std::uint64_t first_unreadable_ = ~std::uint64_t{0};
};

}  // namespace etcdpp::wal
