#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <etcdpp/backend/backend.h>

#include "deletion_slice.h"
#include "environment.h"
#include "preallocation.h"
#include "write_transaction.h"

namespace etcdpp::backend {

/// One defragmentation: the copy that grows beside the database, until it is the database.
///
/// The commit loop makes it, calls step() until it is complete, and takes it. Rows of bucket `key` only ever come behind
/// the last one, so the copy goes forward through them, a slice and a sync at a time; what compaction deletes behind its
/// back is handed to it. The last slice, with no commit between it and the switch, also has the other buckets.
///
/// Threads: the commit loop's. Destroyed before it was taken, it leaves nothing behind.
class Defragmentation {
 public:
  static base::Result<std::unique_ptr<Defragmentation>> begin(const Options& options, const Database& from);
  Defragmentation(const Defragmentation&) = delete;
  Defragmentation& operator=(const Defragmentation&) = delete;
  ~Defragmentation();

  /// What a transaction of the commit loop has put into the database: the next slice is larger by as much, so that the
  /// copy comes to an end however fast the database grows.
  void grown(std::size_t bytes) { grown_ += bytes; }
  /// What it has deleted.
  void deleted(const std::vector<DeletionSlice::Marked>& rows);
  /// Copies and syncs a slice; true: the copy is complete and durable under its own name, and equal to the last commit.
  base::Result<bool> step(const Database& from, std::size_t slice_bytes);
  /// Gives the copy the database's name; from then on it is what a start would open, sooner or later: next sync_name().
  base::Result<> rename();
  base::Result<> sync_name();

  std::unique_ptr<Environment> take_environment() { return std::move(environment_); }
  std::unique_ptr<Preallocation> take_preallocation() { return std::move(preallocation_); }

  std::uint64_t rows() const { return rows_; }
  std::uint64_t live_bytes() const { return live_bytes_; }
  base::Instant begun() const { return begun_; }

 private:
  Defragmentation(const Options& options, std::unique_ptr<Environment> environment, std::unique_ptr<Preallocation> preallocation)
      : options_(options), environment_(std::move(environment)), preallocation_(std::move(preallocation)), begun_(options.clock->now()) {}
  base::Result<bool> copy_rows(const ReadTransaction& source, WriteTransaction& out, std::size_t budget);
  base::Result<> copy_small(const ReadTransaction& source, WriteTransaction& out);

  const Options& options_;
  std::unique_ptr<Environment> environment_;
  std::unique_ptr<Preallocation> preallocation_;
  const base::Instant begun_;
  base::Bytes last_row_;
  std::vector<DeletionSlice::Marked> deleted_;
  std::size_t grown_ = 0;
  std::uint64_t rows_ = 0;
  std::uint64_t live_bytes_ = 0;
  bool renamed_ = false;
};

}  // namespace etcdpp::backend
