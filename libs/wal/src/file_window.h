#pragma once

#include <algorithm>
#include <cstdint>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/env.h>

namespace etcdpp::wal {

/// Views into a file that is read forward, a quarter of a megabyte at a time or as much as one view needs. One owner.
/// `Source` is anything with size() and read_at() of base::File.
template <typename Source>
class Window {
 public:
  /// Looks into another file, which outlives the window or the next call; or again into the same one, as it is now.
  base::Result<> attach(Source& source) {
    source_ = &source;
    bytes_.clear();
    offset_ = 0;
    ETCDPP_ASSIGN(size_, source.size());
    return {};
  }
  /// As of attach(): a live log's file does not grow under its reader.
  std::uint64_t size() const { return size_; }

  /// Up to `length` bytes at `offset`; fewer at the end of the file. Valid until the next call.
  base::Result<base::BytesView> view(std::uint64_t offset, std::size_t length) {
    length = static_cast<std::size_t>(std::min<std::uint64_t>(length, size_ > offset ? size_ - offset : 0));
    if (length == 0) return base::BytesView();
    if (offset < offset_ || offset + length > offset_ + bytes_.size()) {
      bytes_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(std::max(length, kSize), size_ - offset)));
      ETCDPP_ASSIGN(const std::size_t got, source_->read_at(offset, bytes_.data(), bytes_.size()));
      bytes_.resize(got);
      offset_ = offset;
    }
    return base::BytesView(bytes_).substr(static_cast<std::size_t>(offset - offset_), length);
  }

 private:
  static constexpr std::size_t kSize = 256 * 1024;
  Source* source_ = nullptr;
  std::uint64_t size_ = 0;
  std::uint64_t offset_ = 0;
  base::Bytes bytes_;
};

using FileWindow = Window<base::File>;

}  // namespace etcdpp::wal
