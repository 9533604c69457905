#include "defragmentation.h"

#include <utility>

#include <etcdpp/base/failpoint.h>

#include "row_parts.h"
#include "unfinished_database.h"

namespace etcdpp::backend {

namespace {

// What a slice writes beside its rows: the path to the last leaf, the free list.
constexpr std::uint64_t kSliceSlack = 1u << 20;

}  // namespace

base::Result<std::unique_ptr<Defragmentation>> Defragmentation::begin(const Options& options, const Database& from) {
  ETCDPP_ASSIGN(auto unfinished, UnfinishedDatabase::create(options, from.environment().keep_alive()));
  std::unique_ptr<Defragmentation> copy(new Defragmentation(options, std::move(unfinished.environment), std::move(unfinished.preallocation)));
  ETCDPP_FAILPOINT("defragBeforeCopy");
  return copy;
}

Defragmentation::~Defragmentation() {
  if (renamed_) return;
  environment_.reset();
  preallocation_.reset();
  // What cannot be removed now goes at the next start or the next defragmentation.
  static_cast<void>(UnfinishedDatabase::remove(*options_.env, DatabasePaths(options_.data_dir)));
}

void Defragmentation::deleted(const std::vector<DeletionSlice::Marked>& rows) {
  for (const auto& row : rows)
    if (row.key <= last_row_) deleted_.push_back(row);
}

base::Result<bool> Defragmentation::step(const Database& from, std::size_t slice_bytes) {
  const std::size_t budget = slice_bytes + std::exchange(grown_, 0);
  ETCDPP_TRY(preallocation_->reserve(environment_->allocated_bytes() + most_written(budget) + kSliceSlack));
  ETCDPP_ASSIGN(const ReadTransaction source, from.begin_read());
  ETCDPP_ASSIGN(WriteTransaction out, WriteTransaction::begin(*environment_));
  for (const auto& row : deleted_) ETCDPP_TRY(out.erase_row(row.key, row.value_size));
  rows_ -= deleted_.size();
  deleted_.clear();
  ETCDPP_ASSIGN(const bool complete, copy_rows(source, out, budget));
  if (complete) {
    ETCDPP_TRY(copy_small(source, out));
    ETCDPP_TRY(environment_->set_lazy_meta(false));
  }
  ETCDPP_TRY(out.commit());
  live_bytes_ = out.live_bytes();
  if (!complete) return false;
  // LMDB has synced it; its size and its blocks are the file's metadata.
  ETCDPP_TRY(preallocation_->sync());
  ETCDPP_TRY(environment_->find_map());
  return true;
}

// True at the last row.
base::Result<bool> Defragmentation::copy_rows(const ReadTransaction& source, WriteTransaction& out, std::size_t budget) {
  base::Bytes first;
  if (!last_row_.empty()) first = last_row_ + '\0';
  RowCursor cursor(source);
  std::size_t bytes = 0;
  auto there = cursor.seek(first);
  for (; there && *there && bytes < budget; there = cursor.next()) {
    // Verified by the cursor; a row in one piece goes over as it stands, trailer included.
    ETCDPP_TRY(out.append_row(cursor.key(), cursor.value(), WriteTransaction::Trailer::kBehind));
    ++rows_;
    bytes += cursor.key().size() + cursor.value().size() + kTrailerSize;
    last_row_.assign(cursor.key());
  }
  ETCDPP_ASSIGN(const bool more, std::move(there));
  return !more;
}

base::Result<> Defragmentation::copy_small(const ReadTransaction& source, WriteTransaction& out) {
  for (const Bucket bucket : kBuckets) {
    if (bucket == Bucket::kKey) continue;
    ETCDPP_TRY(source.scan_bucket(bucket, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
      ++rows_;
      return out.put(bucket, key, value);
    }));
  }
  return put_identity(out, options_);
}

base::Result<> Defragmentation::rename() {
  ETCDPP_FAILPOINT("defragBeforeRename");
  const DatabasePaths paths(options_.data_dir);
  ETCDPP_TRY(options_.env->rename(paths.unfinished, paths.database));
  renamed_ = true;
  environment_->set_path(paths.database);
  return {};
}

base::Result<> Defragmentation::sync_name() {
  const DatabasePaths paths(options_.data_dir);
  // The generation before goes on with its own lock file, which has no name any more.
  ETCDPP_TRY(options_.env->rename(lock_file_of(paths.unfinished), lock_file_of(paths.database)));
  return options_.env->sync_directory(paths.directory);
}

}  // namespace etcdpp::backend
