#pragma once

#include <cstdint>
#include <set>

#include <etcdpp/mvcc/tree_index.h>

#include "key_rows.h"

namespace etcdpp::mvccdump {

/// The key index of a database, as a member builds it at its start, and the numbers that go with it.
struct RebuiltIndex {
  mvcc::TreeIndex index;
  std::set<base::Bytes> keys;
  std::int64_t revision = 1;
  CompactionMarks marks;
};

/// Rows that are wrong are counted in the context and left out.
base::Result<RebuiltIndex> rebuild_index(Context& context, Source& source);

}  // namespace etcdpp::mvccdump
