#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>

#include "page.h"

namespace etcdpp::bolt {

/// The file as an array of pages, read one by one.
class PageFile {
 public:
  explicit PageFile(std::unique_ptr<base::File> file) : file_(std::move(file)) {}

  base::File& file() const { return *file_; }
  const std::string& path() const { return file_->path(); }
  std::uint64_t page_size() const { return page_size_; }
  /// Pages that trees may use: the meta's count.
  std::uint64_t pages() const { return pages_; }
  void set_geometry(std::uint64_t page_size, std::uint64_t pages) {
    page_size_ = page_size;
    pages_ = pages;
  }

  /// A page with its overflow pages, heads and elements checked. `room`: bytes that the caller may still hold.
  base::Result<Page> read(std::uint64_t number, std::uint64_t room = Reader::kMostBytesHeld) const;
  /// The same with only the head checked, for those who go through its elements one by one.
  base::Result<Page> read_head_checked(std::uint64_t number, std::uint64_t room = Reader::kMostBytesHeld) const;

  /// "<path>: page 7 (byte 28672) …"; `offset` is within the page.
  base::Error damaged(std::uint64_t page, std::size_t offset, const std::string& what) const;

 private:
  std::unique_ptr<base::File> file_;
  std::uint64_t page_size_ = 0;
  std::uint64_t pages_ = 0;
};

}  // namespace etcdpp::bolt
