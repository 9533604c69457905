#pragma once

#include <cstddef>
#include <cstdint>

#include <etcdpp/backend/bucket.h>
#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>

namespace etcdpp::backend {

/// One slice of compaction's deletions inside a transaction of the commit loop: a cursor over the rows of bucket `key`,
/// which marks what is to be deleted.
///
/// Threads: the commit loop's, for the length of the call that received it.
class DeletionBatch {
 public:
  virtual ~DeletionBatch() = default;

  /// To the first row with key ≥ `first`, to the row after; false at the end. Rows are verified; marked rows stay
  /// visible until the slice ends.
  virtual base::Result<bool> seek(base::BytesView first) = 0;
  virtual base::Result<bool> next() = 0;
  virtual base::BytesView key() const = 0;
  virtual base::BytesView value() const = 0;

  /// Marks the row under the cursor for deletion.
  virtual void erase() = 0;
  /// A row of a small bucket that goes with this slice (meta/finishedCompactRev with the last).
  virtual void put(Bucket bucket, base::BytesView key, base::BytesView value) = 0;

  /// The slice is used up (rows visited, or time): return now, the next transaction goes on.
  virtual bool exhausted() const = 0;
};

/// The compaction job as the commit loop sees it; mvcc implements it.
///
/// Deletions ride in the commit loop's transactions, or have their own when no buffer waits; they never move the
/// consistent index. Threads: all calls come from the commit loop's.
class DeletionSource {
 public:
  virtual ~DeletionSource() = default;

  /// Whether a slice would do anything now, given the consistent index that is committed (a job starts only behind the
  /// commit of its own entry). Cheap: asked at every step.
  virtual bool pending(std::uint64_t committed_index) = 0;
  /// Visits and marks rows until the batch is exhausted or the job is over. Only when pending().
  virtual base::Result<> delete_some(DeletionBatch& batch) = 0;
  /// What the last delete_some() marked is gone for ever.
  virtual void deletions_committed() = 0;
  /// The transaction was given up (no space): nothing of the last delete_some() happened; it will be asked again.
  virtual void deletions_aborted() = 0;
};

}  // namespace etcdpp::backend
