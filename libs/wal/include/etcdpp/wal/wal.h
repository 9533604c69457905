#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/logger.h>
#include <etcdpp/base/result.h>
#include <etcdpp/raft/types.h>
#include <etcdpp/wal/errc.h>
#include <etcdpp/wal/preallocator.h>
#include <etcdpp/wal/record.h>

namespace etcdpp::wal {

class PageWriter;

/// Whose log it is: at the head of every segment.
struct Metadata {
  std::uint64_t node_id = 0;
  std::uint64_t cluster_id = 0;
  friend bool operator==(const Metadata&, const Metadata&) = default;
};

/// "A snapshot of this index exists": where reading may start. Every log begins with the marker of index 0, which has
/// no conf state; all others have one.
struct SnapshotMarker {
  std::uint64_t index = 0;
  std::uint64_t term = 0;
  std::optional<raft::ConfState> conf_state;
};

struct Options {
  /// A segment that has grown past this is followed by a new one. Tests use small ones.
  std::uint64_t segment_size = kSegmentSize;
  /// `--unsafe-no-fsync`: everything but the fdatasync.
  bool unsafe_no_fsync = false;
  base::Logger* logger = &base::null_logger();
  /// For measuring syncs; none measures nothing.
  const base::Clock* clock = nullptr;
  /// Called with the time of each fdatasync of a segment (`etcd_disk_wal_fsync_duration_seconds`).
  std::function<void(base::Duration)> on_sync;
  /// Called with the bytes of each write (`etcd_disk_wal_write_bytes_total`).
  std::function<void(std::size_t)> on_write;
};

/// What open() asks of the log's end, beyond etcd's rules.
struct OpenOptions {
  /// Highest index that the member's database has applied. Applied means synced here: a log that ends below it has lost
  /// synced data, and is refused.
  std::uint64_t consistent_index = 0;
  /// A torn tail, as a crash leaves it, is cut off and a copy of the segment kept as `.broken`.
  bool repair_torn_tail = true;
  /// `--force-truncate-wal`: a log that has lost synced data is opened all the same, with warnings and a `.broken` copy of its
  /// tail. Where the database is ahead of it, it begins anew at the database's index, behind a marker made of what follows.
  bool force = false;
  std::uint64_t consistent_term = 0;
  raft::ConfState conf_state = {};
};

/// What a log held when it was read.
struct ReadResult {
  Metadata metadata;
  raft::HardState hard_state;
  /// Entries behind the start marker, without holes; overwritten ones are gone.
  std::vector<raft::Entry> entries;
  /// A torn tail was cut off.
  bool repaired = false;
  /// It was forced, and the log begins anew behind this marker: entries and start are no longer those that were asked for.
  std::optional<SnapshotMarker> restarted_from;
};

/// The write-ahead log: entries, hard states and snapshot markers in segments of 64 MB, in etcd's format to the byte.
///
/// Hop 7 of a Put. The `wal` loop calls it: append() for all that has gathered, then one sync(), then the messages that
/// waited for it may leave.
///
/// Threads: one owner; only preallocator() may be used by another thread meanwhile.
/// Durability: nothing is durable before sync(), save() (where etcd's rule asks for a sync) or save_snapshot() returned.
/// A hard state that moves only the commit index asks for none: a crash may forget it.
/// Errors: any failed write or sync poisons the log: every later call answers kPoisoned and touches nothing. A failed
/// fsync is never retried; the member stops and reads the log again at its next start.
/// etcd: server/storage/wal. Intended differences: Type, Term, Index of entries and all fields of hard states and markers
/// are always written (etcd 3.7's own dump tool crashes on absent ones), and a log that lost synced data is refused.
///
///     auto log = Wal::create(env, wal_directory(data_dir), {member_id, cluster_id}, options);
///     (*log)->append(hard_state, entries);      // buffered, no system call for small batches
///     (*log)->sync();                           // one write, one fdatasync; a full segment is followed by a new one
class Wal {
 public:
  /// Makes a new log in `directory` (absent, or empty). It is complete and durable under its name when this returns; a
  /// crash before leaves nothing but `<directory>.tmp`.
  static base::Result<std::unique_ptr<Wal>> create(base::Env& env, const std::string& directory, const Metadata& metadata,
                                                   Options options = {});

  struct Opened;
  /// Opens for appending and reads everything behind `start`, the marker of newest_snapshot(). The tail's clean pages are
  /// dropped first, so that what is read is on the device or was never acknowledged, and file and directory are synced
  /// before this returns: raft may build on all of it. All segments from `start` on are locked (kLocked: another process).
  static base::Result<Opened> open(base::Env& env, const std::string& directory, const SnapshotMarker& start,
                                   OpenOptions open_options = {}, Options options = {});

  ~Wal();
  Wal(const Wal&) = delete;
  Wal& operator=(const Wal&) = delete;

  /// Adds entries, then the hard state unless it is empty, to the buffer (128 KiB; what does not fit is written on).
  /// No allocation per entry. Not durable.
  base::Result<> append(const raft::HardState& hard_state, std::span<const raft::Entry> entries);

  /// Whether something appended since the last sync must be durable before anyone hears of it (entries, a new term or
  /// vote), or the segment is full.
  bool needs_sync() const;

  /// Makes all that was appended durable: one write, one fdatasync. Starts a new segment when this one is full.
  base::Result<> sync();

  /// append(), then sync() if needs_sync(): etcd's Save.
  base::Result<> save(const raft::HardState& hard_state, std::span<const raft::Entry> entries);

  /// Appends the marker and syncs. The .snap file (or database) it speaks of must be durable before. Order of a release at
  /// S: hard state with commit ≥ S, then this, then release_to(S).
  base::Result<> save_snapshot(const SnapshotMarker& marker);

  /// Unlocks the segments that a start at `index` does not read; purge_segments() may then delete them.
  base::Result<> release_to(std::uint64_t index);

  /// Writes what is buffered, syncs and closes. The destructor closes without writing, as a crash would.
  base::Result<> close();

  /// For the `wal-prealloc` thread.
  Preallocator& preallocator() { return *preallocator_; }

  /// Where the next record goes, for logs and tests.
  const std::string& tail_name() const;
  std::uint64_t tail_offset() const;
  std::size_t locked_segments() const { return held_.size(); }

 private:
  struct Segment {
    std::uint64_t sequence = 0;
    std::uint64_t index = 0;
    std::string name;
    std::unique_ptr<base::File> file;
  };

  Wal(base::Env& env, std::string directory, Options options);
  static base::Result<Opened> open_once(base::Env& env, const std::string& directory, const SnapshotMarker& start,
                                        const OpenOptions& open_options, const Options& options);

  base::Result<> go_on_without(const OpenOptions& open_options, std::uint64_t end_index, ReadResult& read);
  base::Result<> append_record(RecordType type, base::BytesView head, base::BytesView payload);
  base::Result<> append_entry(const raft::Entry& entry);
  base::Result<> append_hard_state(const raft::HardState& hard_state);
  base::Result<> append_heads();
  base::Result<> flush_and_sync();
  base::Result<> cut();
  base::Result<> guard(base::Result<> outcome);

  base::Env& env_;
  const std::string directory_;
  const Options options_;
  std::unique_ptr<Preallocator> preallocator_;
  std::unique_ptr<PageWriter> writer_;
  /// Held and locked, oldest first; the last is the tail.
  std::vector<Segment> held_;
  /// As found in the log, for the heads of later segments.
  base::Bytes metadata_;
  std::uint32_t crc_ = 0;
  /// For frames that do not fit into the buffer.
  base::Bytes scratch_;
  /// Index of the newest entry or marker: the next segment is named after the one behind it.
  std::uint64_t newest_index_ = 0;
  raft::HardState last_state_;
  bool must_sync_ = false;
  bool poisoned_ = false;
};

struct Wal::Opened {
  std::unique_ptr<Wal> wal;
  ReadResult read;
};

/// Whether the directory has a log: at least one name that ends in .wal.
bool exists(base::Env& env, const std::string& directory);

/// Whose log it is, from the head of its oldest segment; without locks.
base::Result<Metadata> read_metadata(base::Env& env, const std::string& directory);

/// Markers at or below the last hard state's commit, oldest first. Reads every segment without locks, the newest from the
/// device and not from memory that a failed sync left behind; a torn tail is tolerated, a broken checksum is not.
base::Result<std::vector<SnapshotMarker>> valid_snapshots(base::Env& env, const std::string& directory);

/// The last of them, with which a start begins; index 0 if there is none. Reads in the same way, but from the newest
/// segment backwards and no further than to the one that has it: every segment repeats the hard state at its head.
base::Result<SnapshotMarker> newest_snapshot(base::Env& env, const std::string& directory);

/// Reads everything behind `start` without locks and without changing anything; a torn tail is tolerated.
base::Result<ReadResult> read_all(base::Env& env, const std::string& directory, const SnapshotMarker& start);

/// An etcd minor release: {3, 5}.
struct EtcdRelease {
  unsigned major = 3;
  unsigned minor = 0;
  friend auto operator<=>(const EtcdRelease&, const EtcdRelease&) = default;
};

/// The oldest etcd that knows every request above index `behind` (the newest snapshot's): the storage version cannot go lower.
/// Reads without locks, also while the log is written; an entry that was written over counts too, as in etcd.
base::Result<EtcdRelease> minimal_version(base::Env& env, const std::string& directory, std::uint64_t behind);

/// Cuts a torn tail off the last segment, keeping a copy as `<segment>.broken`; true when there was one. Damage that no
/// crash explains is an error and changes nothing.
base::Result<bool> repair(base::Env& env, const std::string& directory, base::Logger& logger = base::null_logger());

/// Deletes the oldest segments while there are more than `keep` (0: all stay) and they are not held by a running log.
/// Returns how many went.
base::Result<std::size_t> purge_segments(base::Env& env, const std::string& directory, std::size_t keep,
                                         base::Logger& logger = base::null_logger());

}  // namespace etcdpp::wal
