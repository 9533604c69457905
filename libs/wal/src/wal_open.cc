// Opening a log for appending: read, judge, cut what a crash tore, refuse what has lost synced data.

#include <algorithm>

#include <etcdpp/wal/wal.h>

#include "copy_file.h"
#include "log_reader.h"
#include "page_writer.h"
#include "paths.h"
#include "replay.h"

namespace etcdpp::wal {

base::Result<Wal::Opened> Wal::open(base::Env& env, const std::string& path, const SnapshotMarker& start,
                                    OpenOptions open_options, Options options) {
  const std::string directory = without_trailing_slash(path);
  auto opened = open_once(env, directory, start, open_options, options);
  if (!opened && opened.error().code == Errc::kUnexpectedEof && open_options.repair_torn_tail) {
    options.logger->warn("a torn WAL tail, as a crash leaves it, is repaired", {{"error", opened.error().message()}});
    ETCDPP_TRY(repair(env, directory, *options.logger));
    opened = open_once(env, directory, start, open_options, options);
    if (opened) opened->read.repaired = true;
  }
  if (!opened) return with_advice(opened.error(), directory);
  return opened;
}

base::Result<Wal::Opened> Wal::open_once(base::Env& env, const std::string& directory, const SnapshotMarker& start,
                                         const OpenOptions& open_options, const Options& options) {
  ETCDPP_ASSIGN(const std::vector<std::string> names, segments_from(env, directory, start.index));
  ETCDPP_ASSIGN(std::vector<OpenSegment> segments, open_segments(env, directory, names, base::OpenMode::kReadWrite));
  base::File& tail = *segments.back().file;
  // Pages that a process before us wrote and never synced are dirty, and stay; those of a failed sync are clean, and must
  // not be believed.
  ETCDPP_TRY(tail.drop_cache());

  LogReader reader(segments);
  Replay replay(start);
  for (LogReader::Item item;;) {
    auto next = reader.next(item);
    if (!next) {
      base::Error error = next.error();
      error.context += ", behind entry " + std::to_string(replay.newest_index);
      // Before anything is cut off: what the torn frame hides may be more than a crash can take.
      if (error.code == Errc::kUnexpectedEof && replay.metadata.empty()) return base::Error(Errc::kMetadataMissing, error.message());
      if (error.code == Errc::kUnexpectedEof && !open_options.force)
        ETCDPP_TRY(replay.check_end(open_options.consistent_index, reader.position()));
      return error;
    }
    if (!*next) break;
    ETCDPP_TRY(replay.add(item));
  }
  if (replay.metadata.empty()) return base::Error(Errc::kMetadataMissing, directory + ", " + reader.position());
  const auto checked = replay.check_end(open_options.consistent_index, reader.position());
  if (!checked) {
    if (!open_options.force) return checked.error();
    options.logger->warn("SYNCED DATA IS MISSING FROM THE LOG; it is opened all the same because --force-truncate-wal was given",
                         {{"error", checked.error().message()}});
    // What lies behind the end may be all that is left of it. (Behind a repair there is nothing, and the copy is there.)
    ETCDPP_ASSIGN(const std::uint64_t all, tail.size());
    if (all > reader.last_valid_offset()) {
      const std::string copy = tail.path() + ".broken";
      ETCDPP_TRY(copy_file(env, tail, copy));
      options.logger->warn("a copy of the segment was kept", {{"path", copy}});
    }
  }
  // Without a durable marker no older segment may be let go, so it is written before anyone can ask for that.
  const bool repeat_marker = !replay.start_found && start.index > 0 && start.conf_state.has_value() && checked;
  if (!replay.start_found) {
    options.logger->warn("the WAL's segments do not repeat the snapshot marker that reading starts from",
                         {{"snapshot-index", start.index}, {"snapshot-term", start.term}});
  }

  // Whatever lies behind the end must never be read as records: zeros up to the old length.
  const std::uint64_t end = reader.last_valid_offset();
  ETCDPP_ASSIGN(const std::uint64_t size, tail.size());
  ETCDPP_TRY(tail.truncate(end));
  ETCDPP_TRY(tail.allocate(size));
  // What was read may have been in memory only; raft will promise it again.
  if (!options.unsafe_no_fsync) ETCDPP_TRY(tail.sync_data());
  ETCDPP_TRY(env.sync_directory(directory));
  ETCDPP_TRY(env.sync_directory(parent_of(directory)));

  Opened opened;
  opened.wal.reset(new Wal(env, directory, options));
  Wal& wal = *opened.wal;
  for (OpenSegment& segment : segments)
    wal.held_.push_back({segment.id.sequence, segment.id.index, std::move(segment.name), std::move(segment.file)});
  wal.metadata_ = std::move(replay.metadata);
  wal.crc_ = reader.crc();
  wal.newest_index_ = replay.newest_index;
  wal.last_state_ = replay.result.hard_state;
  wal.writer_ = std::make_unique<PageWriter>(*wal.held_.back().file, end, wal.options_.on_write);
  wal.preallocator_ = std::make_unique<Preallocator>(env, directory, wal.options_.segment_size);
  const std::uint64_t end_index = replay.end_index();
  opened.read = std::move(replay.result);
  if (!checked) ETCDPP_TRY(wal.go_on_without(open_options, end_index, opened.read));
  if (repeat_marker) ETCDPP_TRY(wal.save_snapshot(start));
  return opened;
}

// Synced data is missing and that was accepted: the log must say again what is true, or raft would find a commit index above its
// last entry, and a database that takes new entries for old ones.
base::Result<> Wal::go_on_without(const OpenOptions& open_options, std::uint64_t end_index, ReadResult& read) {
  raft::HardState& state = read.hard_state;
  if (open_options.consistent_index <= end_index) {
    state.commit = end_index;
    ETCDPP_TRY(append(state, {}));
    return sync();
  }
  // The database is ahead of the log: the log begins anew where the database stands, as behind a snapshot.
  SnapshotMarker marker{open_options.consistent_index, open_options.consistent_term, open_options.conf_state};
  if (state.term < marker.term) state = {marker.term, 0, 0};
  state.commit = marker.index;
  read.entries.clear();
  ETCDPP_TRY(append(state, {}));
  ETCDPP_TRY(save_snapshot(marker));
  read.restarted_from = std::move(marker);
  return {};
}

}  // namespace etcdpp::wal
