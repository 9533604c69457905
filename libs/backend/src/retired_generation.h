#pragma once

#include <cstdint>
#include <memory>

#include <etcdpp/backend/database.h>

#include "preallocation.h"

namespace etcdpp::backend {

/// A database file that has been replaced: it lives until its last reader has gone, then gives its blocks back a piece at a
/// time. Closed at once, a large file without a name holds up the file system's journal, and with it the log's fdatasync,
/// for as long as it takes to free all of them.
///
/// Threads: the commit loop's; the readers' own references may go in any. Destroyed early, it closes at once.
class RetiredGeneration {
 public:
  RetiredGeneration(std::shared_ptr<const Database> database, std::unique_ptr<Preallocation> blocks)
      : database_(std::move(database)), blocks_(std::move(blocks)) {}

  bool read() const { return database_ != nullptr && database_.use_count() > 1; }
  /// Unmaps the file or frees some of its blocks, if nobody reads it; true when nothing is left.
  bool give_back();

 private:
  std::shared_ptr<const Database> database_;
  std::unique_ptr<Preallocation> blocks_;
};

}  // namespace etcdpp::backend
