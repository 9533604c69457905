#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <etcdpp/backend/bucket.h>
#include <etcdpp/backend/buffer_set.h>
#include <etcdpp/backend/commit_loop.h>
#include <etcdpp/backend/database.h>
#include <etcdpp/backend/defragment.h>
#include <etcdpp/backend/errc.h>
#include <etcdpp/backend/write_buffer.h>
#include <etcdpp/base/clock.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/logger.h>
#include <etcdpp/base/result.h>

namespace etcdpp::backend {

/// The newest on-disk format that this code writes and reads (docs/formats/database.md).
inline constexpr std::uint64_t kFormatVersion = 2;

class Defragmentation;
class Preallocation;
class RetiredGeneration;

struct Options {
  /// etcd's --data-dir. The database is member/etcdpp/data.lmdb below it; the directories are made if absent.
  std::string data_dir;
  /// Directories, the lock and names go through it; LMDB opens its file by path, so below member/etcdpp this must show
  /// the operating system's files.
  base::Env* env = nullptr;
  const base::Clock* clock = nullptr;
  base::Logger* logger = nullptr;
  /// Written into a new database, compared with an existing one's.
  std::uint64_t cluster_id = 0;
  std::uint64_t member_id = 0;

  /// A buffer is due this long after its first change, at that many records, or at that many bytes.
  base::Duration batch_interval = std::chrono::milliseconds(100);
  std::size_t batch_limit = 10'000;
  std::size_t batch_bytes = 4u << 20;

  /// A slice of deletions: rows visited, time taken; and the pause after one that had a transaction of its own
  /// (--compaction-batch-limit, --compaction-sleep-interval).
  std::size_t deletion_rows = 1'000;
  base::Duration deletion_time = std::chrono::milliseconds(2);
  base::Duration deletion_pause = std::chrono::milliseconds(10);

  /// A compaction that leaves more free than live rows in the file, and at least so many bytes free, is followed by a
  /// defragmentation of its own accord: what was written to get there is more than the copy writes.
  std::uint64_t shrink_at = 32u << 20;

  /// Address space, halved until it can be mapped; the bound of the file's size.
  std::uint64_t map_size = std::uint64_t{1} << 40;
  unsigned max_readers = 1024;
};

/// What the database says of itself when it is opened; the server compares it with the WAL.
struct OpenedState {
  bool created = false;
  std::uint64_t format_version = 0;
  std::uint64_t consistent_index = 0;  // 0: nothing applied yet
  std::uint64_t term = 0;
  base::Bytes conf_state;  // JSON, empty: none yet
};

/// Sizes as the Status RPC and the quota know them, in bytes.
struct Sizes {
  /// Pages that the file has in use or free for reuse ("dbSize").
  std::uint64_t allocated = 0;
  /// Σ (key + value + 16) over the committed rows of all buckets ("dbSizeInUse").
  std::uint64_t live = 0;
  /// The same with what still waits in buffers: what the quota compares.
  std::uint64_t quota = 0;
};

/// The ten buckets of a member on one LMDB file: a buffer that apply fills, a loop that commits, snapshots to read.
///
/// Serves hops 11 and 12 of a Put from below: mvcc appends rows, the other stores put and erase in the small buckets,
/// apply sets the entry's index; between entries it freezes and publishes the buffers. Readers find rows through a
/// BufferSet. Nothing here starts a thread; the owner runs commit_loop().
///
/// Threads: buffer(), freeze…, buffers() and request_commit() belong to apply; sizes() and database() to any;
/// commit_loop() as it says.
/// Durability: changes are durable when a Commit with their index was reported. Until then the WAL has them: a backend
/// that is destroyed drops its buffers, as a crash would.
/// Order: one open backend per directory, over all processes; Views of a previous one in this process must be gone.
///
///   auto backend = Backend::open(options, restore);  // one-line refusals, see Errc
///   backend->buffer().append_row(revision, value);   // apply, within an entry
///   backend->buffer().set_applied(index, term);
///   backend->freeze_if_due(clock.now());             // apply, between entries
///   publish(View{…, backend->buffers()});
class Backend {
 public:
  /// `on_row` is given every row of bucket `key` in order while an existing database is verified, as scan_key_rows() would
  /// give them afterwards: at a start it spares a second pass over everything. What it refuses, open() refuses; whoever
  /// gathered rows throws them away when open() fails.
  static base::Result<std::unique_ptr<Backend>> open(const Options& options, const RowVisitor& on_row = {});
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  ~Backend();

  const OpenedState& opened() const { return opened_; }
  const Options& options() const { return options_; }

  /// Every row of bucket `key` in order, every row of a bucket: at open, before anything is written. Checksums are
  /// verified; a bad row is kCorrupt with its place.
  base::Result<> scan_key_rows(const RowVisitor& visit) const;
  base::Result<> scan_bucket(Bucket bucket, const RowVisitor& visit) const;

  /// The active buffer. The reference is good until the next freeze.
  WriteBuffer& buffer() { return *active_; }

  /// Between entries: freezes the active buffer if its time, records or bytes are reached or a commit was asked for,
  /// and a place is free. True if it did.
  bool freeze_if_due(base::Instant now);
  /// Between entries: freezes it now. False if it is empty or two frozen ones wait.
  bool freeze();
  /// When freeze_if_due will have something to do by time alone; none while the active buffer is empty.
  std::optional<base::Instant> freeze_due_at() const { return due_at_; }
  /// Two frozen buffers wait and the active one is full: apply takes no further entry until a commit was reported.
  bool saturated() const;

  /// The set of now, for the View about to be published.
  BufferSet buffers() const;

  /// Calls `done` once everything that the buffers hold now is committed, in the commit loop's thread, before its next
  /// transaction begins (a read transaction begun in `done` sees exactly that commit). May be called within an entry:
  /// the freeze happens at the next freeze_if_due(). A fatal error of the loop is handed to `done` as well; a backend
  /// that is destroyed drops what has not been answered.
  using CommitDone = std::function<void(base::Result<Commit>)>;
  void request_commit(CommitDone done);

  /// Copies the database row by row into a new file while it goes on serving, and puts that into its place: the next
  /// generation. The commit loop does it, a slice between two commits (CopyPace); compaction goes on meanwhile.
  ///
  /// Any thread may ask. Asked while one is on its way: `done` is told of that one's end. Nothing of it is on a request's
  /// path, and a crash at any step leaves the old file or the new one, both whole. The switch is known to
  /// CommitLoop::Listener::on_generation first, so that apply publishes a View of it; the old file's blocks go with its
  /// last reader. Who destroys the backend meanwhile drops the callers without an answer.
  /// Without being asked it begins after a compaction that has left much (Options::shrink_at).
  void defragment(DefragmentDone done);
  /// Ends the one that is on its way, if any, before its switch: kCancelled. Any thread.
  void cancel_defragment();
  /// None while none is on its way. Any thread.
  std::optional<DefragmentProgress> defragment_progress() const;
  /// Of the database in use: 1 at open, one more with each switch. Any thread.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  Sizes sizes() const;
  /// The consistent index of the last commit.
  std::uint64_t committed_index() const { return committed_index_.load(std::memory_order_acquire); }
  /// The generation in use. Hold it for as long as what was begun on it: the next one may take its place.
  std::shared_ptr<const Database> database() const;

  CommitLoop& commit_loop() { return commit_loop_; }

 private:
  friend class CommitLoop;

  struct Frozen {
    std::shared_ptr<const WriteBuffer> buffer;
    std::uint64_t sequence;
  };
  struct Request {
    std::uint64_t sequence;  // the buffer whose commit answers it
    CommitDone done;
  };

  Backend(const Options& options, std::shared_ptr<Database> database, std::unique_ptr<Preallocation> preallocation,
          OpenedState opened);
  bool full() const;

  // For the commit loop.
  std::shared_ptr<const WriteBuffer> next_frozen() const;
  void committed(const Commit& commit, bool with_buffer, std::uint64_t live_bytes);
  /// Answers the requests whose buffer has been committed; true if there were any.
  bool answer_requests();
  void fail_requests(const base::Error& error);
  enum class Wanted { kNothing, kDefragment, kCancel };
  Wanted wanted() const;
  bool defragmenting() const;  // with mutex_ held
  void defragment_over(base::Result<Defragmented> outcome);
  Defragmented next_generation(Defragmentation& copy);
  /// Gives back some of what generations take that nobody reads any more, and says what is left of all.
  enum class Retired { kNone, kRead, kGoing };
  Retired give_back_retired();
  /// Whether more than half of the file is free, and enough to be worth a copy of the rest.
  bool worth_shrinking() const;
  void shrink();

  const Options options_;
  OpenedState opened_;

  // Apply's.
  std::shared_ptr<WriteBuffer> active_;
  std::optional<base::Instant> due_at_;
  bool freeze_requested_ = false;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::shared_ptr<Database> database_;
  std::deque<Frozen> frozen_;
  std::uint64_t active_sequence_ = 1;
  std::uint64_t committed_sequence_ = 0;
  std::vector<Request> requests_;
  Commit last_commit_;
  std::vector<DefragmentDone> defragment_waiters_;
  bool cancel_defragment_ = false;
  bool shrink_ = false;  // a defragmentation that nobody asked for

  // The commit loop's.
  std::unique_ptr<Preallocation> preallocation_;
  std::vector<RetiredGeneration> retired_;

  std::atomic<std::uint64_t> committed_index_{0};
  std::atomic<std::uint64_t> generation_{1};
  std::atomic<std::uint64_t> copied_bytes_{0};
  std::atomic<std::uint64_t> live_bytes_{0};
  std::atomic<std::uint64_t> frozen_live_bytes_{0};
  std::atomic<std::uint64_t> active_live_bytes_{0};
  std::atomic<std::uint64_t> allocated_bytes_{0};

  CommitLoop commit_loop_;
};

}  // namespace etcdpp::backend
