#pragma once

#include <cstdint>

#include "page.h"

namespace etcdpp::backend {

/// Where a tree begins, as one snapshot has it.
struct TreeRoot {
  std::uint64_t page = kNoPage;  // none: the tree is empty
  unsigned depth = 0;
};

}  // namespace etcdpp::backend
