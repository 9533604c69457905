#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <etcdpp/base/bytes.h>

#include "format.h"

namespace etcdpp::bolt {

/// What the writer may do with a page: measure it, or also make it.
enum class Mode { kSizing, kWriting };

/// A page that is being filled: elements in order with their bytes behind each other. While sizing only lengths are kept.
class PageBuilder {
 public:
  struct Element {
    std::uint32_t flags = 0;  // of a leaf
    std::uint32_t key_size = 0;
    std::uint32_t value_size = 0;
    std::uint64_t child = 0;  // of a branch
    std::uint64_t bytes() const { return kElementSize + key_size + value_size; }
  };

  PageBuilder(Mode mode, std::uint16_t flags) : mode_(mode), flags_(flags) {}

  bool empty() const { return elements_.empty(); }
  std::size_t count() const { return elements_.size(); }
  /// Head, elements and their bytes.
  std::uint64_t size() const { return size_; }
  void clear();
  void add(const Element& element, base::BytesView key, base::BytesView value);
  /// Puts the last element in front of `to`.
  void move_last(PageBuilder& to);

  std::uint32_t first_key_size() const { return elements_.front().key_size; }
  /// Empty while sizing.
  base::BytesView first_key() const;
  /// Appends the page, `page_count` pages long; nothing while sizing.
  void append_page(std::uint64_t number, std::uint64_t page_count, std::uint64_t page_size, base::Bytes& out) const;
  /// Appends head, elements and bytes as they are.
  void append_bytes(std::uint64_t number, std::uint32_t overflow, base::Bytes& out) const;

 private:
  Mode mode_;
  std::uint16_t flags_;
  std::vector<Element> elements_;
  base::Bytes data_;
  std::uint64_t size_ = kPageHead;
};

}  // namespace etcdpp::bolt
