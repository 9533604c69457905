#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>
#include <etcdpp/mvcc/revision.h>
#include <etcdpp/mvcc/tree_index.h>
#include <etcdpp/mvcc/view.h>

namespace etcdpp::mvcc {

/// A hash of the key space and the revisions it stands for; equal on all members that have applied `revision`.
struct KeyValueHash {
  std::uint32_t hash = 0;
  std::int64_t compact_revision = -1;
  std::int64_t revision = 0;
  friend bool operator==(const KeyValueHash&, const KeyValueHash&) = default;
};

/// CRC-32C over rows of bucket `key` in order, with etcd's rules of which rows count (spec: HashKV).
///
/// A row above `revision` does not count; one at or below `compact_revision` only if the keep set has it, provided that
/// the keep set is not empty; a tombstone at exactly `compact_revision` never.
class RowHash {
 public:
  RowHash(std::int64_t compact_revision, std::int64_t revision, bool keep_set_empty);

  /// Whether the row counts; `kept` is asked only where the keep set decides.
  template <typename Kept>
  bool counts(const RowKey& row, Kept&& kept) const {
    if (row.revision.main > revision_) return false;
    if (row.revision.main <= compact_revision_ && !keep_set_empty_ && !kept()) return false;
    return !(row.revision.main == compact_revision_ && row.tombstone);
  }
  void add(base::BytesView row_key, base::BytesView value);
  KeyValueHash result() const { return {crc_, compact_revision_, revision_}; }

 private:
  std::int64_t compact_revision_;
  std::int64_t revision_;
  bool keep_set_empty_;
  std::uint32_t crc_;
};

/// The hashes of the newest ten compactions, in memory only. Threads: any.
class CompactionHashes {
 public:
  static constexpr std::size_t kKept = 10;

  void store(const KeyValueHash& hash);
  std::optional<KeyValueHash> at(std::int64_t revision) const;
  /// Oldest revision first.
  std::vector<KeyValueHash> all() const;

 private:
  mutable std::mutex mutex_;
  std::vector<KeyValueHash> hashes_;  // guarded by mutex_
};

class RowSequence;

/// One HashKV in slices: the RPC's and the peer endpoint's.
///
/// start() answers from a stored compaction hash where there is one, else fixes revisions and pins them; step() until
/// true. Between steps only a pin is held. Threads: one at a time (a reader of the pool).
/// Errors: kCompacted, kFutureRevision; the backend's stop the member.
class HashKv {
 public:
  /// `revision` 0: the current one.
  HashKv(const Views& views, const CompactionHashes& stored, std::int64_t revision);
  HashKv(HashKv&&) noexcept;
  ~HashKv();

  /// True when the answer is there already.
  base::Result<bool> start();
  /// Hashes up to `budget` rows; true at the end.
  base::Result<bool> step(std::size_t budget = 2'000);
  /// start() and all steps.
  base::Result<KeyValueHash> run();

  const KeyValueHash& result() const { return result_; }
  /// For the response header.
  std::int64_t current_revision() const { return current_revision_; }

 private:
  const Views& views_;
  const CompactionHashes& stored_;
  const std::int64_t requested_;
  Pin pin_;
  std::optional<RowHash> hash_;
  base::Bytes next_row_;
  std::unique_ptr<RowSequence> sequence_;
  std::int64_t revision_ = 0;
  std::int64_t compact_revision_ = -1;
  KeyValueHash result_;
  std::int64_t current_revision_ = 0;
};

}  // namespace etcdpp::mvcc
