#pragma once

#include <memory>

#include <etcdpp/backend/backend.h>
#include <etcdpp/backend/bucket.h>
#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>

namespace etcdpp::backend {

class Environment;
class Preallocation;
class WriteTransaction;

/// The database of a data directory, made from rows that exist already: those of an etcd member that is taken over.
///
///     ETCDPP_ASSIGN(auto fresh, FreshDatabase::create(options));   // the directory's lock, no database there yet
///     fresh->add(Bucket::kAlarm, key, value);                      // buckets in any order, rows of `key` ascending
///     ETCDPP_TRY(fresh->finish());                                 // whole, durable and under its name: Backend::open()
///
/// Threads: one. Durability: until finish() returned there is nothing under the database's name; what an interrupted one
/// left goes with the next start, or with the destructor. Memory: the rows of one transaction (kSliceBytes).
/// Errors: kLocked, kNotADatabase where there is one already, kCorrupt (rows out of order), kNoSpace, the system's.
class FreshDatabase {
 public:
  static base::Result<std::unique_ptr<FreshDatabase>> create(const Options& options);
  FreshDatabase(const FreshDatabase&) = delete;
  FreshDatabase& operator=(const FreshDatabase&) = delete;
  ~FreshDatabase();

  base::Result<> add(Bucket bucket, base::BytesView key, base::BytesView value);
  base::Result<> finish();

  /// Written and synced at once.
  static constexpr std::size_t kSliceBytes = 16u << 20;

 private:
  explicit FreshDatabase(const Options& options);
  base::Result<> begin();
  base::Result<> commit();

  const Options options_;
  std::shared_ptr<base::File> lock_;
  std::unique_ptr<Environment> environment_;
  std::unique_ptr<Preallocation> preallocation_;
  std::unique_ptr<WriteTransaction> transaction_;
  std::uint64_t slice_begin_ = 0;
  std::size_t slice_ = 0;
  bool finished_ = false;
};

}  // namespace etcdpp::backend
