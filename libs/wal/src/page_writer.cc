#include "page_writer.h"

#include <cstring>

#include <etcdpp/base/assert.h>

namespace etcdpp::wal {

PageWriter::PageWriter(base::File& file, std::uint64_t offset, std::function<void(std::size_t)> on_write)
    : file_(&file),
      flushed_offset_(offset),
      buffer_(new char[kBufferSize + kPageSize]),
      on_write_(std::move(on_write)) {}

void PageWriter::reset(base::File& file, std::uint64_t offset) {
  ETCDPP_ASSERT(buffered_ == 0, "a segment is left with bytes in the buffer");
  file_ = &file;
  flushed_offset_ = offset;
}

base::Result<> PageWriter::write(base::BytesView bytes) {
  while (buffered_ + bytes.size() > kBufferSize) {
    // Complete the page that the buffer ends in, if the new bytes reach that far.
    const std::size_t in_page = static_cast<std::size_t>(offset() % kPageSize);
    if (in_page != 0) {
      const std::size_t slack = kPageSize - in_page;
      if (slack > bytes.size()) break;
      std::memcpy(buffer_.get() + buffered_, bytes.data(), slack);
      buffered_ += slack;
      bytes.remove_prefix(slack);
    }
    ETCDPP_TRY(flush());
    if (bytes.size() > kPageSize) {
      const std::size_t whole_pages = bytes.size() / kPageSize * kPageSize;
      ETCDPP_TRY(write_through(bytes.substr(0, whole_pages)));
      bytes.remove_prefix(whole_pages);
    }
  }
  if (!bytes.empty()) std::memcpy(buffer_.get() + buffered_, bytes.data(), bytes.size());
  buffered_ += bytes.size();
  return {};
}

base::Result<> PageWriter::flush() {
  if (buffered_ == 0) return {};
  ETCDPP_TRY(write_through({buffer_.get(), buffered_}));
  buffered_ = 0;
  return {};
}

base::Result<> PageWriter::write_through(base::BytesView bytes) {
  ETCDPP_TRY(file_->write_at(flushed_offset_, bytes));
  flushed_offset_ += bytes.size();
  if (on_write_) on_write_(bytes.size());
  return {};
}

}  // namespace etcdpp::wal
