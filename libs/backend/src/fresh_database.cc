#include <etcdpp/backend/fresh_database.h>

#include <etcdpp/base/assert.h>

#include "open_database.h"
#include "row_parts.h"
#include "unfinished_database.h"

namespace etcdpp::backend {

namespace {

// What a transaction writes beside its rows: the path to the last leaf, the free list.
constexpr std::uint64_t kBesideRows = 4u << 20;

}  // namespace

FreshDatabase::FreshDatabase(const Options& options) : options_(options) {}

base::Result<std::unique_ptr<FreshDatabase>> FreshDatabase::create(const Options& options) {
  const DatabasePaths paths(options.data_dir);
  base::Env& env = *options.env;
  std::unique_ptr<FreshDatabase> fresh(new FreshDatabase(options));
  ETCDPP_TRY(env.make_directories(paths.directory));
  ETCDPP_ASSIGN(fresh->lock_, take_lock(env, paths));
  if (env.exists(paths.database)) return base::Error(Errc::kNotADatabase, paths.database + " exists already");
  ETCDPP_ASSIGN(auto unfinished, UnfinishedDatabase::create(options, fresh->lock_));
  fresh->environment_ = std::move(unfinished.environment);
  fresh->preallocation_ = std::move(unfinished.preallocation);
  ETCDPP_TRY(fresh->begin());
  return fresh;
}

FreshDatabase::~FreshDatabase() {
  if (finished_) return;
  transaction_.reset();
  environment_.reset();
  preallocation_.reset();
  static_cast<void>(UnfinishedDatabase::remove(*options_.env, DatabasePaths(options_.data_dir)));
}

base::Result<> FreshDatabase::begin() {
  slice_begin_ = environment_->allocated_bytes();
  ETCDPP_ASSIGN(auto transaction, WriteTransaction::begin(*environment_));
  transaction_ = std::make_unique<WriteTransaction>(std::move(transaction));
  slice_ = 0;
  return {};
}

base::Result<> FreshDatabase::commit() {
  const auto committed = transaction_->commit();
  transaction_.reset();
  return committed;
}

base::Result<> FreshDatabase::add(Bucket bucket, base::BytesView key, base::BytesView value) {
  ETCDPP_ASSERT(transaction_ != nullptr, "a row for a database that is finished or has failed");
  const std::size_t size = key.size() + value.size();
  if (slice_ != 0 && slice_ + size > kSliceBytes) {
    ETCDPP_TRY(commit());
    ETCDPP_TRY(begin());
  }
  slice_ += size;
  ETCDPP_TRY(preallocation_->reserve(slice_begin_ + most_written(slice_) + kBesideRows));
  if (bucket != Bucket::kKey) return transaction_->put(bucket, key, value);
  return transaction_->append_row(key, value, WriteTransaction::Trailer::kToBeMade);
}

base::Result<> FreshDatabase::finish() {
  const DatabasePaths paths(options_.data_dir);
  base::Env& env = *options_.env;
  ETCDPP_TRY(put_identity(*transaction_, options_));
  ETCDPP_TRY(environment_->set_lazy_meta(false));
  ETCDPP_TRY(commit());
  // LMDB has synced it; its size and its blocks are the file's metadata.
  ETCDPP_TRY(preallocation_->sync());
  environment_.reset();
  preallocation_.reset();
  ETCDPP_TRY(remove_if_there(env, lock_file_of(paths.unfinished)));
  ETCDPP_TRY(env.rename(paths.unfinished, paths.database));
  finished_ = true;
  ETCDPP_TRY(env.sync_directory(paths.directory));
  return env.sync_directory(paths.member);
}

}  // namespace etcdpp::backend
