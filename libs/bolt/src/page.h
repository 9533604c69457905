#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include <etcdpp/base/bytes.h>

#include "format.h"

namespace etcdpp::bolt {

/// A place inside of a page where it is not what it should be.
struct Fault {
  std::size_t offset = 0;
  const char* what = nullptr;
};

/// One page's bytes, its overflow pages included, with access that never leaves them.
///
/// Elements are used after check() found no fault, or one by one after check_element() found none.
class Page {
 public:
  /// Of a file; `bytes` are `size` long.
  Page(std::uint64_t number, std::unique_ptr<char[]> bytes, std::size_t size)
      : number_(number), bytes_(std::move(bytes)), size_(size) {}
  /// Of an inline bucket: a copy.
  explicit Page(base::BytesView inline_page);

  std::uint64_t number() const { return number_; }
  std::size_t size() const { return size_; }
  const char* head() const { return bytes_.get(); }
  std::uint16_t flags() const { return size_ < kPageHead ? 0 : load<std::uint16_t>(bytes_.get() + 8); }
  bool is_branch() const { return flags() == kBranchPage; }
  bool is_leaf() const { return flags() == kLeafPage; }
  std::size_t count() const { return size_ < kPageHead ? 0 : load<std::uint16_t>(bytes_.get() + 10); }
  std::uint64_t overflow() const { return load<std::uint32_t>(bytes_.get() + 12); }

  /// Number, kind and length of the array.
  std::optional<Fault> check_head() const;
  std::optional<Fault> check_element(std::size_t i) const;
  /// Both.
  std::optional<Fault> check() const;

  static std::size_t element_offset(std::size_t i) { return kPageHead + kElementSize * i; }
  base::BytesView key(std::size_t i) const {
    const char* at = element(i);
    return is_branch() ? base::BytesView(at + load<std::uint32_t>(at), load<std::uint32_t>(at + 4))
                       : base::BytesView(at + load<std::uint32_t>(at + 4), load<std::uint32_t>(at + 8));
  }
  /// Of a branch.
  std::uint64_t child(std::size_t i) const { return load<std::uint64_t>(element(i) + 8); }
  /// Of a leaf.
  base::BytesView value(std::size_t i) const {
    const char* at = element(i);
    return {at + load<std::uint32_t>(at + 4) + load<std::uint32_t>(at + 8), load<std::uint32_t>(at + 12)};
  }
  bool is_bucket(std::size_t i) const { return (load<std::uint32_t>(element(i)) & kBucketElement) != 0; }

  /// In a leaf the first element with key ≥ `wanted`; in a branch the child that may hold it.
  std::size_t lower_bound(base::BytesView wanted) const;

 private:
  const char* element(std::size_t i) const { return bytes_.get() + element_offset(i); }

  std::uint64_t number_ = 0;
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
};

/// What stands behind the head of a bucket's value, read from a leaf's element.
std::optional<Bucket> decode_bucket(base::BytesView name, base::BytesView value);

}  // namespace etcdpp::bolt
