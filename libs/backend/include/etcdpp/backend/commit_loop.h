#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include <etcdpp/backend/defragment.h>
#include <etcdpp/backend/deletion_source.h>
#include <etcdpp/base/clock.h>
#include <etcdpp/base/result.h>

namespace etcdpp::backend {

class Backend;
class Defragmentation;
class DeletionSlice;
class Environment;
class WriteBuffer;
class WriteTransaction;

/// What one transaction made durable.
struct Commit {
  std::uint64_t consistent_index = 0;
  std::uint64_t term = 0;
  std::size_t rows = 0;
  std::size_t deleted_rows = 0;
  /// From the begin of the write transaction to the return of its commit.
  base::Duration duration{};
};

/// Writes frozen buffers into the database, one transaction each, and compaction's deletions with them.
///
/// On no request's path: an answer never waits for it. The daemon's thread `commit` calls run(); the simulator calls
/// step() by hand. Made and owned by Backend.
///
/// Threads: step() and run() from one; set_… before the first step; wake() and stop() from any.
/// Durability: what a Commit reports is on disk (LMDB with its default durability).
/// Errors: full disk or map is not one: the buffer is kept, on_space(false) is called once and the commit is tried
/// again each second until on_space(true). Any other failure is returned by step(): the database is no longer trusted
/// or the disk failed a sync, which is never retried; the owner stops the member.
class CommitLoop {
 public:
  struct Listener {
    /// After each commit, in the loop's thread: releases the WAL, wakes an apply loop that waits for saturated().
    std::function<void(const Commit&)> on_commit;
    /// false: the database cannot grow (the server raises NOSPACE); true: it could again.
    std::function<void(bool has_space)> on_space;
    /// A defragmentation has put the next generation into use; Views still name the one before: apply publishes.
    std::function<void(std::uint64_t generation)> on_generation{};
  };

  CommitLoop(Backend& backend, const base::Clock& clock);
  CommitLoop(const CommitLoop&) = delete;
  CommitLoop& operator=(const CommitLoop&) = delete;
  ~CommitLoop();

  void set_listener(Listener listener) { listener_ = std::move(listener); }
  /// `source` outlives the loop; null: none.
  void set_deletion_source(DeletionSource* source) { deletions_ = source; }
  void set_copy_pace(CopyPace pace) { pace_ = std::move(pace); }

  /// Commits at most one buffer, with one slice of deletions, and copies a slice of a defragmentation. True if there was
  /// something to do.
  base::Result<bool> step();
  /// When step() has something to do without anybody's wake(): a retry or a slice of deletions that has its time.
  std::optional<base::Instant> next_due() const;

  /// step() until stop() or a fatal error, sleeping in between. What is frozen when stop() comes is committed first.
  base::Result<> run();
  /// Something has been frozen, asked for or scheduled.
  void wake();
  void stop();

 private:
  base::Result<Commit> write(const WriteBuffer* buffer, bool with_deletions);
  base::Result<> reserve(const Environment& environment, std::uint64_t growth);
  base::Result<bool> commit_step();
  base::Result<bool> copy_step();
  base::Result<> switch_generation();
  void end_copy(base::Error why);
  void give_back_retired();
  base::Duration copy_pause() const;

  Backend& backend_;
  const base::Clock& clock_;
  Listener listener_;
  DeletionSource* deletions_ = nullptr;
  CopyPace pace_;

  // The loop's own.
  std::optional<base::Instant> retry_at_;
  std::optional<base::Instant> deletions_at_;
  bool out_of_space_ = false;
  bool shrink_after_deletions_ = false;  // a compaction has deleted rows
  std::unique_ptr<Defragmentation> copy_;
  std::optional<base::Instant> copy_at_;
  std::optional<base::Instant> look_at_retired_;

  std::mutex mutex_;
  std::condition_variable ready_;
  // Guarded by mutex_.
  bool woken_ = false;
  bool stopping_ = false;
};

}  // namespace etcdpp::backend
