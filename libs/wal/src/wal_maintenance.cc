// What is done to a log that is not open for appending: look, read, repair, purge.

#include <algorithm>

#include <etcdpp/proto/raft_codec.h>
#include <etcdpp/wal/wal.h>

#include "copy_file.h"
#include "log_reader.h"
#include "replay.h"

namespace etcdpp::wal {

namespace {

// Reads all that is readable; a torn tail ends it as a clean one does.
base::Result<> replay_tolerantly(const std::vector<OpenSegment>& segments, Replay& replay) {
  LogReader reader(segments);
  for (LogReader::Item item;;) {
    auto next = reader.next(item);
    if (!next) {
      if (next.error().code == Errc::kUnexpectedEof) return {};
      return next.error();
    }
    if (!*next) return {};
    ETCDPP_TRY(replay.add(item));
  }
}

base::Result<Metadata> find_metadata(base::Env& env, const std::string& directory) {
  ETCDPP_ASSIGN(std::vector<std::string> names, list_segments(env, directory));
  names.resize(1);
  ETCDPP_ASSIGN(const std::vector<OpenSegment> segments, open_segments(env, directory, names, base::OpenMode::kReadOnly));
  LogReader reader(segments);
  const std::string nowhere = ", before its first entry";
  // Behind the checksum record, at the head of every segment.
  for (int records = 0; records < 2; ++records) {
    LogReader::Item item;
    const auto more = reader.next(item);
    if (!more) return base::Error(more.error().code, more.error().context + nowhere);
    if (!*more) break;
    if (item.record.type != static_cast<std::int64_t>(RecordType::kMetadata)) continue;
    const auto metadata = decode_metadata(item.record.data);
    if (!metadata) return base::Error(Errc::kBadRecord, "metadata " + reader.position() + nowhere);
    return *metadata;
  }
  return base::Error(Errc::kMetadataMissing, "the log ends " + reader.position() + nowhere);
}

// What says where a start may begin, in the order of the log.
struct Marks {
  std::vector<SnapshotMarker> markers;
  std::optional<std::uint64_t> commit;  // of the last hard state

  // A marker above the commit index: the crash came between a received snapshot's marker and its hard state.
  bool valid(const SnapshotMarker& marker) const { return marker.index <= commit.value_or(0); }
};

base::Result<Marks> find_marks(const std::vector<OpenSegment>& segments) {
  LogReader reader(segments);
  Marks found;
  std::uint64_t index = 0;
  const auto behind = [&] { return ", behind entry " + std::to_string(index); };
  for (LogReader::Item item;;) {
    auto next = reader.next(item);
    if (!next && next.error().code != Errc::kUnexpectedEof) return base::Error(next.error().code, next.error().context + behind());
    if (!next || !*next) break;
    if (item.record.type == static_cast<std::int64_t>(RecordType::kSnapshot)) {
      auto marker = decode_marker(item.record.data);
      if (!marker) return base::Error(Errc::kBadRecord, "snapshot marker " + reader.position() + behind());
      found.markers.push_back(std::move(*marker));
    } else if (item.record.type == static_cast<std::int64_t>(RecordType::kState)) {
      auto state = proto::decode_hard_state(item.record.data);
      if (!state) return base::Error(Errc::kBadRecord, "hard state " + reader.position() + behind());
      found.commit = state->commit;
    } else if (item.record.type == static_cast<std::int64_t>(RecordType::kEntry)) {
      index = entry_index(item.record.data);
    }
  }
  return found;
}

// A marker whose sync failed is in memory only; a start from it would find no marker, and let go what it needs. Segments
// before the newest were whole on the device when the next began.
base::Result<> forget_unsynced(const OpenSegment& newest) { return newest.file->drop_cache(); }

base::Result<std::vector<SnapshotMarker>> find_markers(base::Env& env, const std::string& directory) {
  ETCDPP_ASSIGN(const std::vector<std::string> names, list_segments(env, directory));
  ETCDPP_ASSIGN(const std::vector<OpenSegment> segments, open_segments(env, directory, names, base::OpenMode::kReadOnly));
  ETCDPP_TRY(forget_unsynced(segments.back()));
  ETCDPP_ASSIGN(Marks marks, find_marks(segments));
  std::erase_if(marks.markers, [&](const SnapshotMarker& marker) { return !marks.valid(marker); });
  return std::move(marks.markers);
}

base::Result<SnapshotMarker> find_newest_marker(base::Env& env, const std::string& directory) {
  ETCDPP_ASSIGN(const std::vector<std::string> names, list_segments(env, directory));
  Marks marks;  // of the segments read so far
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    ETCDPP_ASSIGN(const std::vector<OpenSegment> segment, open_segments(env, directory, {*name}, base::OpenMode::kReadOnly));
    if (name == names.rbegin()) ETCDPP_TRY(forget_unsynced(segment.back()));
    ETCDPP_ASSIGN(Marks older, find_marks(segment));
    marks.markers.insert(marks.markers.begin(), older.markers.begin(), older.markers.end());
    if (!marks.commit) marks.commit = older.commit;
    // Which are valid the last hard state says, or that there is none.
    if (!marks.commit && std::next(name) != names.rend()) continue;
    const auto newest = std::find_if(marks.markers.rbegin(), marks.markers.rend(), [&](const SnapshotMarker& marker) { return marks.valid(marker); });
    if (newest != marks.markers.rend()) return std::move(*newest);
  }
  return SnapshotMarker();
}

}  // namespace

base::Result<> copy_file(base::Env& env, base::File& from, const std::string& to) {
  ETCDPP_ASSIGN(const auto copy, env.open(to, base::OpenMode::kCreateTruncate, 0600));
  base::Bytes buffer(1 << 20, '\0');
  std::uint64_t offset = 0;
  for (;;) {
    ETCDPP_ASSIGN(const std::size_t n, from.read_at(offset, buffer.data(), buffer.size()));
    if (n == 0) break;
    const base::BytesView piece = base::BytesView(buffer).substr(0, n);
    // Preallocated zeros become a hole.
    if (piece.find_first_not_of('\0') != base::BytesView::npos) ETCDPP_TRY(copy->write_at(offset, piece));
    offset += n;
  }
  ETCDPP_TRY(copy->truncate(offset));
  return copy->sync_all();
}

bool exists(base::Env& env, const std::string& directory) {
  const auto names = env.list(directory);
  return names && std::any_of(names->begin(), names->end(), [](const std::string& name) { return name.ends_with(".wal"); });
}

base::Result<Metadata> read_metadata(base::Env& env, const std::string& directory) {
  auto metadata = find_metadata(env, directory);
  if (!metadata) return with_advice(metadata.error(), directory);
  return metadata;
}

base::Result<std::vector<SnapshotMarker>> valid_snapshots(base::Env& env, const std::string& directory) {
  auto markers = find_markers(env, directory);
  if (!markers) return with_advice(markers.error(), directory);
  return markers;
}

base::Result<SnapshotMarker> newest_snapshot(base::Env& env, const std::string& directory) {
  auto marker = find_newest_marker(env, directory);
  if (!marker) return with_advice(marker.error(), directory);
  return marker;
}

base::Result<ReadResult> read_all(base::Env& env, const std::string& directory, const SnapshotMarker& start) {
  ETCDPP_ASSIGN(const std::vector<std::string> names, segments_from(env, directory, start.index));
  ETCDPP_ASSIGN(const std::vector<OpenSegment> segments, open_segments(env, directory, names, base::OpenMode::kReadOnly));
  Replay replay(start);
  ETCDPP_TRY(replay_tolerantly(segments, replay));
  if (replay.metadata.empty()) return base::Error(Errc::kMetadataMissing, directory);
  if (!replay.start_found)
    return base::Error(Errc::kSnapshotNotFound, "index " + std::to_string(start.index) + ", term " + std::to_string(start.term));
  return std::move(replay.result);
}

base::Result<bool> repair(base::Env& env, const std::string& directory, base::Logger& logger) {
  ETCDPP_ASSIGN(const std::vector<std::string> names, list_segments(env, directory));
  ETCDPP_ASSIGN(const std::vector<OpenSegment> segments,
                open_segments(env, directory, {names.back()}, base::OpenMode::kReadWrite));
  base::File& tail = *segments.back().file;
  LogReader reader(segments);
  for (LogReader::Item item;;) {
    auto next = reader.next(item);
    if (next) {
      if (!*next) return false;
      continue;
    }
    if (next.error().code != Errc::kUnexpectedEof) return next.error();
    break;
  }
  const std::string broken = tail.path() + ".broken";
  ETCDPP_TRY(copy_file(env, tail, broken));
  ETCDPP_TRY(tail.truncate(reader.last_valid_offset()));
  ETCDPP_TRY(tail.sync_all());
  ETCDPP_TRY(env.sync_directory(directory));
  logger.info("repaired", {{"path", tail.path()}, {"truncated-to", reader.last_valid_offset()}, {"copy", broken}});
  return true;
}

base::Result<std::size_t> purge_segments(base::Env& env, const std::string& directory, std::size_t keep, base::Logger& logger) {
  if (keep == 0) return std::size_t{0};
  ETCDPP_ASSIGN(std::vector<std::string> names, env.list(directory));
  std::erase_if(names, [](const std::string& name) { return !name.ends_with("wal"); });
  std::size_t purged = 0;
  for (; names.size() - purged > keep; ++purged) {
    const std::string path = directory + "/" + names[purged];
    ETCDPP_ASSIGN(const auto file, env.open(path, base::OpenMode::kReadWrite));
    if (auto locked = file->lock(false); !locked) {
      if (locked.error().code != base::EnvErrc::kLocked) return locked.error();
      logger.warn("failed to lock file", {{"path", path}, {"error", locked.error().message()}});
      break;
    }
    ETCDPP_TRY(env.remove(path));
    // Each by itself, so that a power loss leaves no hole in the sequence.
    ETCDPP_TRY(env.sync_directory(directory));
    logger.info("purged", {{"path", path}});
  }
  return purged;
}

}  // namespace etcdpp::wal
