#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <etcdpp/base/result.h>

#include "page_file.h"

namespace etcdpp::bolt {

/// A place in a bucket's tree: the pages from the root to a leaf. Moves forward.
///
/// Ends on any file: keys that do not ascend, a tree too deep, and one that leads to more pages than the file has are
/// errors. So a tree whose pages point to each other is one too.
class Cursor {
 public:
  Cursor(const PageFile& pages, const Bucket& bucket);

  /// To the first row with key ≥ `first`; false: there is none.
  base::Result<bool> seek(base::BytesView first);
  base::Result<bool> next();

  base::BytesView key() const { return leaf().key(at_leaf()); }
  base::BytesView value() const { return leaf().value(at_leaf()); }
  bool is_bucket() const { return leaf().is_bucket(at_leaf()); }
  std::uint64_t page() const { return leaf().number(); }
  /// Within its page.
  std::size_t offset() const { return Page::element_offset(at_leaf()); }

 private:
  struct Step {
    Page page;
    std::size_t at;
  };
  const Page& leaf() const { return path_.back().page; }
  std::size_t at_leaf() const { return path_.back().at; }
  base::Result<> push(std::uint64_t number);
  base::Result<> check_depth();
  void pop();
  /// The leaf is used up: to the first row behind it.
  base::Result<bool> climb();

  const PageFile& pages_;
  const std::uint64_t root_;
  base::Bytes inline_page_;
  std::vector<Step> path_;
  std::uint64_t bytes_held_ = 0;
  std::uint64_t pages_read_ = 0;
  // All leaves of a tree are equally deep; 0: none met yet.
  std::size_t leaf_depth_ = 0;
  base::Bytes key_before_;
  bool has_key_before_ = false;
};

}  // namespace etcdpp::bolt
