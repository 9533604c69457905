#pragma once

#include <cstdint>
#include <set>

#include <etcdpp/backend/database_file.h>
#include <etcdpp/mvcc/tree_index.h>

#include "dump.h"

namespace etcdpp::mvccdump {

/// The key index of a database, as a member builds it at its start, and the numbers that go with it.
struct RebuiltIndex {
  mvcc::TreeIndex index;
  std::set<base::Bytes> keys;
  std::int64_t revision = 1;
  std::int64_t compact_revision = -1;
  std::int64_t scheduled_compact_revision = -1;
  std::int64_t finished_compact_revision = -1;
  Findings findings;
};

/// Rows that are wrong are counted and left out.
base::Result<RebuiltIndex> rebuild_index(backend::DatabaseFile& database);

}  // namespace etcdpp::mvccdump
