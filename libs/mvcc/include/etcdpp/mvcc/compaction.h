#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include <etcdpp/backend/deletion_source.h>
#include <etcdpp/base/bytes.h>
#include <etcdpp/mvcc/hash_kv.h>
#include <etcdpp/mvcc/tree_index.h>
#include <etcdpp/mvcc/view.h>

namespace etcdpp::mvcc {

/// Names of the two marks in bucket `meta`; values are row keys with sub 0.
inline constexpr base::BytesView kScheduledCompactRevKey = "scheduledCompactRev";
inline constexpr base::BytesView kFinishedCompactRevKey = "finishedCompactRev";

/// The compaction jobs, first in first out: each an index pass by the apply loop and then a row pass by the commit
/// loop.
///
/// A job to N starts when the database has committed the compaction's own entry (else a crash would lose a key's
/// history for ever), its compact revision is published, and no revision below N is pinned. The index pass goes in
/// slices between batches; once its result is published, the commit loop deletes rows ≤ N that the index does not keep,
/// hashing all it sees, and finishedCompactRev goes with the last slice.
///
/// Threads: schedule, index_step and published from the apply loop; the DeletionSource part from the commit loop;
/// when_idle and idle from any (callbacks run in the commit loop, or at once in the caller's if there is no job).
class Compaction final : public backend::DeletionSource {
 public:
  Compaction(TreeIndex& index, const Views& views, CompactionHashes& hashes)
      : index_(index), views_(views), hashes_(hashes) {}

  struct Job {
    std::int64_t revision = 0;            ///< N
    std::int64_t previous_revision = -1;  ///< P: the compact revision before
    std::uint64_t entry_index = 0;        ///< Committed before the job starts; 0 for one resumed at start.
    bool store_hash = false;              ///< The previous compaction had finished.
  };
  void schedule(const Job& job);

  /// Between entries: a slice of the index pass, if one is due. True if something was done, so that a View is to be
  /// published and the call repeated.
  bool index_step(std::uint64_t committed_index, std::size_t budget = 2'000);
  /// A View of the index as it is now was published. True if that made a row pass pending: wake the commit loop.
  bool published();

  /// No job is scheduled or running.
  bool idle() const;
  /// Calls `done` when all jobs scheduled so far are over (a Physical compaction's answer; the caller then waits for a
  /// commit).
  void when_idle(std::function<void()> done);
  /// The newest N whose job is over; −1: none.
  std::int64_t finished_revision() const;
  void set_finished_revision(std::int64_t revision);

  bool pending(std::uint64_t committed_index) override;
  base::Result<> delete_some(backend::DeletionBatch& batch) override;
  void deletions_committed() override;
  void deletions_aborted() override;

 private:
  enum class Phase { kNone, kIndex, kIndexDone, kRows };

  TreeIndex& index_;
  const Views& views_;
  CompactionHashes& hashes_;

  // The apply loop's.
  base::Bytes resume_key_;

  // The commit loop's: where the row pass is, and where it was when the last slice was committed.
  struct RowPass {
    base::Bytes next_row;
    std::optional<RowHash> hash;
    bool complete = false;
  };
  RowPass pass_;
  RowPass committed_pass_;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  struct Waiter {
    std::uint64_t after;  // jobs over
    std::function<void()> done;
  };
  std::deque<Job> jobs_;
  Phase phase_ = Phase::kNone;
  std::uint64_t scheduled_jobs_ = 0;
  std::uint64_t finished_jobs_ = 0;
  std::int64_t finished_revision_ = -1;
  std::vector<Waiter> waiters_;
};

}  // namespace etcdpp::mvcc
