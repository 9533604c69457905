#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include <etcdpp/base/result.h>

#include "page_file.h"

namespace etcdpp::bolt {

/// The list of free pages that a meta points to. Its numbers are handed out as they stand there: any may be nonsense.
class FreeList {
 public:
  /// None: that page is no free list.
  static base::Result<std::optional<FreeList>> open(const PageFile& pages, std::uint64_t number);

  /// Pages that it has behind its first.
  std::uint64_t overflow() const { return overflow_; }
  /// Each number with its place in the list's page. What ends the list before its end, if anything does.
  using Visitor = std::function<void(std::uint64_t page, std::size_t offset)>;
  base::Result<std::optional<Fault>> each(const Visitor& visit) const;

 private:
  FreeList(const PageFile& pages, std::uint64_t number) : pages_(pages), number_(number) {}

  const PageFile& pages_;
  std::uint64_t number_;
  std::uint64_t overflow_ = 0;
  std::uint64_t count_ = 0;
  std::size_t at_ = kPageHead;
};

}  // namespace etcdpp::bolt
