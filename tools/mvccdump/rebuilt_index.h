#pragma once

#include <cstdint>
#include <vector>

#include <etcdpp/mvcc/tree_index.h>

#include "key_rows.h"
#include "key_table.h"

namespace etcdpp::mvccdump {

/// The key index of a database, as a member builds it at its start, and the numbers that go with it.
struct RebuiltIndex {
  mvcc::TreeIndex index;
  KeyTable table;
  /// Every key, dead ones too, in order; the table owns them.
  std::vector<base::BytesView> keys;
  std::int64_t revision = 1;
  CompactionMarks marks;
};

/// Rows that are wrong are counted in the context and left out.
base::Result<RebuiltIndex> rebuild_index(Context& context, Source& source);

}  // namespace etcdpp::mvccdump
