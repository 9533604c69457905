#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <etcdpp/base/result.h>

#include "page_builder.h"

namespace etcdpp::bolt {

/// Hands out page numbers in the order of writing, and sends the pages.
class PageOutput {
 public:
  using Sink = std::function<base::Result<>(base::BytesView)>;
  PageOutput(Mode mode, std::uint64_t page_size, Sink sink) : mode_(mode), page_size_(page_size), sink_(std::move(sink)) {}

  Mode mode() const { return mode_; }
  std::uint64_t page_size() const { return page_size_; }
  std::uint64_t next() const { return next_; }
  base::Result<std::uint64_t> write(const PageBuilder& page);

 private:
  const Mode mode_;
  const std::uint64_t page_size_;
  const Sink sink_;
  // Behind the metas.
  std::uint64_t next_ = 2;
  base::Bytes room_;
};

/// A bucket's tree from its rows in order: a page of each level in the making, and the one before it, so that the last
/// page of a level need not stand with a single element.
class TreeBuilder {
 public:
  explicit TreeBuilder(PageOutput& output) : output_(output) {}

  base::Result<> add(const PageBuilder::Element& element, base::BytesView key, base::BytesView value);
  /// The only page, as long as it is the only one.
  const PageBuilder* only_page() const;
  /// The root's number.
  base::Result<std::uint64_t> finish();

 private:
  struct Level {
    Level(Mode mode, std::uint16_t flags) : filling(mode, flags), full(mode, flags) {}
    PageBuilder filling;
    PageBuilder full;
  };
  base::Result<> add_at(std::size_t level, const PageBuilder::Element& element, base::BytesView key, base::BytesView value);
  base::Result<> write_up(std::size_t level, const PageBuilder& page);
  Level& level(std::size_t n);

  PageOutput& output_;
  std::vector<std::unique_ptr<Level>> levels_;
};

}  // namespace etcdpp::bolt
