#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#include <etcdpp/base/bytes.h>

#include "page.h"

namespace etcdpp::backend {

/// One branch or leaf page of an LMDB file: its nodes, with access that never leaves the page. Borrows the bytes, from a
/// file that was read or from the map.
///
/// LMDB 0.9, 64 bits. A page begins with number (8), pad (2), flags (2), lower (2), upper (2). Behind the head stands an
/// array of offsets of nodes, up to `lower`; the nodes lie between `upper` and the end, without gaps. A node: low (2),
/// high (2), flags (2), key size (2), key, data. In a leaf low and high are the data's size; in a branch low, high and
/// flags are the child's page number.
class PageView {
 public:
  PageView() = default;
  PageView(std::uint64_t number, base::BytesView bytes) : number_(number), bytes_(bytes) {}

  /// What is wrong with the page, or null. Nothing else may be asked before.
  const char* check();
  /// The same of head and offsets' number only, of a page that has been checked a moment ago.
  const char* check_bounds();
  /// The same of one node, where head and offsets' number are known to be right: it can be looked at then.
  const char* check_node(std::size_t i) const;

  std::uint64_t number() const { return number_; }
  bool is_branch() const { return load<std::uint16_t>(10) == kBranchPage; }
  std::size_t count() const { return count_; }
  base::BytesView key(std::size_t i) const {
    const std::size_t at = node(i);
    return bytes_.substr(at + kNodeHead, load<std::uint16_t>(at + 6));
  }
  std::uint64_t child(std::size_t i) const {
    const std::size_t at = node(i);
    return load<std::uint16_t>(at) | std::uint64_t{load<std::uint16_t>(at + 2)} << 16 | std::uint64_t{load<std::uint16_t>(at + 4)} << 32;
  }
  std::uint16_t node_flags(std::size_t i) const { return load<std::uint16_t>(node(i) + 4); }
  std::uint64_t value_size(std::size_t i) const { return data_size(node(i)); }
  /// The value in the page; of one on overflow pages, their first number.
  base::BytesView value(std::size_t i) const {
    const std::size_t at = node(i);
    const std::size_t size = (node_flags(i) & kBigData) ? 8 : data_size(at);
    return bytes_.substr(at + kNodeHead + load<std::uint16_t>(at + 6), size);
  }
  /// First node with key ≥ `wanted`; in a branch the child that may hold it.
  std::size_t lower_bound(base::BytesView wanted) const;
  /// What a row takes in a leaf, beside its offset.
  static std::size_t node_size(std::size_t key_size, std::size_t value_size) { return (kNodeHead + key_size + value_size + 1) / 2 * 2; }

 private:
  template <typename T>
  T load(std::size_t at) const {
    T v;
    std::memcpy(&v, bytes_.data() + at, sizeof v);
    return v;
  }
  std::size_t node(std::size_t i) const { return load<std::uint16_t>(kPageHead + 2 * i); }
  std::size_t node_size(std::size_t at) const {
    const std::size_t head = kNodeHead + load<std::uint16_t>(at + 6);
    if (is_branch()) return head;
    return head + ((load<std::uint16_t>(at + 4) & kBigData) ? 8 : data_size(at));
  }
  std::uint64_t data_size(std::size_t at) const {
    return load<std::uint16_t>(at) | std::uint64_t{load<std::uint16_t>(at + 2)} << 16;
  }

  std::uint64_t number_ = kNoPage;
  base::BytesView bytes_;
  std::size_t count_ = 0;
};

inline const char* PageView::check_bounds() {
  const auto flags = load<std::uint16_t>(10);
  if (load<std::uint64_t>(0) != number_) return "carries another page's number";
  if (flags != kBranchPage && flags != kLeafPage) return "is neither branch nor leaf";
  const std::size_t lower = load<std::uint16_t>(12);
  const std::size_t upper = load<std::uint16_t>(14);
  if (lower < kPageHead || lower % 2 != 0 || lower > upper || upper > bytes_.size()) return "has wrong bounds";
  count_ = (lower - kPageHead) / 2;
  return count_ == 0 ? "is empty" : nullptr;
}

inline const char* PageView::check_node(std::size_t i) const {
  const std::size_t at = node(i);
  const std::size_t upper = load<std::uint16_t>(14);
  if (at < upper || at % 2 != 0 || at + kNodeHead > bytes_.size()) return "has a node outside of its bounds";
  if (at + kNodeHead + load<std::uint16_t>(at + 6) > bytes_.size()) return "has a key outside of its bounds";
  if (!is_branch() && at + node_size(at) > bytes_.size()) return "has a value outside of its bounds";
  return nullptr;
}

/// Of the record of a tree, kTreeRecordSize bytes: how deep it is, its nodes in leaves, where it begins (kNoPage: nowhere).
inline std::uint16_t tree_depth(const char* record) {
  std::uint16_t depth;
  std::memcpy(&depth, record + 6, sizeof depth);
  return depth;
}
inline std::uint64_t tree_entries(const char* record) { return base::get_le64(record + 32); }
inline std::uint64_t tree_root(const char* record) { return base::get_le64(record + 40); }

/// How many overflow pages a value of that size has.
inline std::uint64_t overflow_pages(std::uint64_t value_size, std::uint64_t page_size) { return (kPageHead - 1 + value_size) / page_size + 1; }
/// What is wrong with the first of them, or null. `head`: its first kPageHead bytes.
const char* check_overflow_head(const char* head, std::uint64_t number, std::uint64_t pages);

/// What is wrong with a row of the free list, or null: a count, then that many page numbers, the highest first. `may_be_free`
/// is asked for each in turn.
const char* check_free_list(base::BytesView list, const std::function<bool(std::uint64_t page)>& may_be_free);

}  // namespace etcdpp::backend
