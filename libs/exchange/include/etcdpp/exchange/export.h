#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <etcdpp/backend/database.h>
#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>
#include <etcdpp/bolt/sha256.h>
#include <etcdpp/bolt/writer.h>

namespace etcdpp::exchange {

/// The rows of a bucket in key order, from wherever they are.
using BucketScan = std::function<base::Result<>(backend::Bucket bucket, const backend::RowVisitor& visit)>;

/// Writes all ten buckets, empty ones too: etcd dies of a write to one that is missing.
base::Result<> write_buckets(const BucketScan& scan, bolt::Writer& writer);

/// A member's database as the bbolt database that etcd would have, while the member goes on: what Maintenance.Snapshot
/// streams.
///
/// Everything in it is of one LMDB read transaction, begun right behind a commit: rows, consistent index, term, conf state
/// and marks of compaction belong together whatever the member does meanwhile. It is read twice, since a bbolt file begins
/// with what is known last; the transaction lasts from begin() to destruction, and as long the file gets back none of the
/// pages that are freed (docs/adr/0004-export-transaction.md).
///
///     backend.request_commit([&](auto) { exported = Export::begin(backend.database()); … });
///     ETCDPP_ASSIGN(const std::uint64_t bytes, exported->measure(pace));     // in a thread of its own
///     ETCDPP_ASSIGN(const auto digest, exported->write(send, pace));
///
/// Threads: one at a time. Memory: a few pages. Errors: the backend's (kCorrupt stops the member), those of sink and pace.
class Export {
 public:
  static base::Result<std::unique_ptr<Export>> begin(std::shared_ptr<const backend::Database> database);

  std::uint64_t consistent_index() const { return consistent_index_; }
  /// "3.7.0"; empty: none yet.
  const std::string& storage_version() const { return storage_version_; }

  /// Called with the bytes of rows read since the last call, each kPaceBytes: may wait, and ends the export with an error.
  using Pace = std::function<base::Result<>(std::size_t bytes)>;
  /// The size of the file. First.
  base::Result<std::uint64_t> measure(const Pace& pace);
  /// Hands the whole file to `sink`, from its first byte to its last; its SHA-256.
  base::Result<bolt::Sha256::Digest> write(const bolt::Writer::Sink& sink, const Pace& pace);

  static constexpr std::size_t kPaceBytes = 256u << 10;

 private:
  Export(std::shared_ptr<const backend::Database> database, backend::ReadTransaction transaction)
      : database_(std::move(database)), transaction_(std::move(transaction)) {}
  base::Result<> feed(bolt::Writer& writer, backend::RowCursor::Check check, const Pace& pace) const;

  const std::shared_ptr<const backend::Database> database_;
  const backend::ReadTransaction transaction_;
  std::uint64_t consistent_index_ = 0;
  std::string storage_version_;
  bolt::Plan plan_;
};

}  // namespace etcdpp::exchange
