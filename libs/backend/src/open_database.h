#pragma once

#include <memory>

#include <etcdpp/backend/backend.h>

#include "database_paths.h"
#include "preallocation.h"

namespace etcdpp::backend {

/// A database that may be used: locked, verified, of the right member and format.
struct OpenedDatabase {
  std::shared_ptr<Database> database;
  std::unique_ptr<Preallocation> preallocation;
  OpenedState state;
  std::uint64_t live_bytes = 0;
};

/// The lock of a data directory's database, for as long as the result is held; kLocked.
base::Result<std::shared_ptr<base::File>> take_lock(base::Env& env, const DatabasePaths& paths);

/// Opens the database of a data directory, or makes an empty one; a refusal changes nothing. `on_row`: see Backend::open.
base::Result<OpenedDatabase> open_database(const Options& options, const RowVisitor& on_row);

}  // namespace etcdpp::backend
