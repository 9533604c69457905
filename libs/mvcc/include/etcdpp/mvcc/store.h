#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include <etcdpp/backend/backend.h>
#include <etcdpp/base/result.h>
#include <etcdpp/mvcc/commit_observer.h>
#include <etcdpp/mvcc/compaction.h>
#include <etcdpp/mvcc/errc.h>
#include <etcdpp/mvcc/hash_kv.h>
#include <etcdpp/mvcc/lease_attach.h>
#include <etcdpp/mvcc/range_reader.h>
#include <etcdpp/mvcc/restoration.h>
#include <etcdpp/mvcc/tree_index.h>
#include <etcdpp/mvcc/view.h>
#include <etcdpp/mvcc/write_txn.h>

namespace etcdpp::mvcc {

/// The key space with its history: revisions, key index, rows in the backend, compaction.
///
/// Hop 11 of a Put. Apply owns it: entries go through WriteTxn and compact(); between entries, once per batch,
/// publish() makes what was applied visible. Everyone else reads Views (RangeReader, RangeCursor, HashKv).
///
///   store.restore();
///   backend.commit_loop().set_deletion_source(&store.compaction());
///   // the apply loop, per batch:
///   for (entry : batch) { WriteTxn txn(store); txn.put(k, v, lease); txn.end(); backend.buffer().set_applied(i, t); }
///   backend.freeze_if_due(now);
///   store.step_compaction();
///   store.publish(applied_index);
///
/// Threads: the apply loop's, but views(), hashes(), compaction() (see there). Publish also after a commit was
/// reported, so that the committed buffer leaves the newest View and its memory goes. Durability: none of its own; rows
/// and marks go with the entry into the backend's buffer. Errors: kCompacted, kFutureRevision of requests; restore()
/// refuses a damaged database by name.
class Store {
 public:
  struct Restored {
    std::uint64_t rows = 0;
    std::uint64_t keys_with_lease = 0;
    std::uint64_t missing_leases = 0;  ///< Keys whose lease is unknown: logged by the caller, not attached.
    bool compaction_resumed = false;
  };

  /// `leases` and `observer` outlive the store; null: nobody.
  Store(backend::Backend& backend, LeaseAttach* leases, CommitObserver* observer);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store();

  /// Rebuilds the index from the backend's rows (in one pass, sorting in batches), attaches leases, resumes an
  /// interrupted compaction, publishes the first View. Once, before anything else.
  base::Result<Restored> restore(std::uint64_t applied_index);
  /// The same out of rows that were taken while the backend was opened (Backend::open), ended.
  base::Result<Restored> restore(std::uint64_t applied_index, Restoration&& rows);

  std::int64_t revision() const { return revision_; }
  std::int64_t compact_revision() const { return compact_revision_; }

  /// Applies a compaction to `revision`, in the entry `entry_index`. The compact revision is in force for apply at once
  /// and for readers with the next publish(); the job follows by itself. kCompacted at or below the last one,
  /// kFutureRevision above the current one.
  base::Result<> compact(std::int64_t revision, std::uint64_t entry_index);
  /// A slice of a compaction's index pass if one is due; true: publish, and call again when there is nothing better to
  /// do.
  bool step_compaction(std::size_t budget = 2'000);

  /// A reader of the state as applied, unpublished entries and open transaction included; good until the next change.
  base::Result<RangeReader> applied_reader() const { return reader_at(revision_); }
  /// The same without opening the database: index only.
  IndexRoot applied_index() const { return index_.current(); }
  /// Checks a request's revision against the applied state: ≤ 0 is the current one.
  base::Result<std::int64_t> resolve(std::int64_t requested) const;

  /// Publishes everything applied so far as the newest View.
  void publish(std::uint64_t applied_index);

  Views& views() { return views_; }
  const Views& views() const { return views_; }
  const CompactionHashes& hashes() const { return hashes_; }
  Compaction& compaction() { return compaction_; }
  /// Bytes of nodes and keys.
  std::size_t index_memory_bytes() const { return index_.memory_bytes(); }

 private:
  friend class WriteTxn;
  base::Result<RangeReader> reader_at(std::int64_t revision) const;

  backend::Backend& backend_;
  LeaseAttach* const leases_;
  CommitObserver* const observer_;

  std::int64_t revision_ = 1;
  std::int64_t compact_revision_ = -1;
  TreeIndex index_;
  CompactionHashes hashes_;
  Views views_;
  Compaction compaction_;
  base::Bytes scratch_;  // an encoded tombstone event
};

}  // namespace etcdpp::mvcc
