#pragma once

#include <memory>

#include <etcdpp/backend/backend.h>

#include "database_paths.h"
#include "environment.h"
#include "preallocation.h"
#include "write_transaction.h"

namespace etcdpp::backend {

/// A database that is filled beside the place of the real one: whoever finishes it renames it, whoever does not removes it.
struct UnfinishedDatabase {
  std::unique_ptr<Environment> environment;
  std::unique_ptr<Preallocation> preallocation;

  /// An empty one; what an earlier one left is removed. Its meta pages are written lazily (Environment::set_lazy_meta).
  static base::Result<UnfinishedDatabase> create(const Options& options, std::shared_ptr<void> keep_alive);
  /// What is there of one, its lock file too.
  static base::Result<> remove(base::Env& env, const DatabasePaths& paths);
};

/// The rows of the tree `own` that say whose database it is.
base::Result<> put_identity(WriteTransaction& transaction, const Options& options);

}  // namespace etcdpp::backend
