#include <etcdpp/wal/dump.h>

#include <algorithm>
#include <optional>

#include <etcdpp/proto/raft_codec.h>
#include <etcdpp/wal/errc.h>
#include <etcdpp/wal/layout.h>
#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>

#include "dump_printer.h"
#include "frame_walker.h"
#include "replay.h"

namespace etcdpp::wal {

namespace {

// A log: the files of one directory in order, or one file by itself.
struct Log {
  std::string name;
  std::vector<std::string> files;
  /// "between A and B" when sequence numbers have a hole.
  std::string missing;
};

base::Result<Log> find_log(base::Env& env, const std::string& path) {
  Log log{path, {}, {}};
  auto names = env.list(path);
  if (!names) {
    if (names.error().code != std::errc::not_a_directory) return names.error();
    log.files = {path};
    return log;
  }
  for (const std::string& inner : {wal_directory(path), path + "/wal"}) {
    if (auto listed = env.list(inner)) {
      log.name = inner;
      names = std::move(listed);
      break;
    }
  }
  std::optional<SegmentId> last;
  for (const std::string& name : *names) {
    const auto id = parse_segment_name(name);
    if (!id) continue;
    if (last && id->sequence != last->sequence + 1) log.missing = "between " + segment_name(*last) + " and " + name;
    last = id;
    log.files.push_back(log.name + "/" + name);
  }
  if (log.files.empty()) return base::Error(Errc::kFileNotFound, path + " holds no WAL segments");
  return log;
}

// What sound frames say that cannot be: the light twin of Replay, which keeps no entries.
class OrderCheck {
 public:
  /// `whole`: the log's first segment is there, so its first entry has index 1.
  explicit OrderCheck(bool whole) : whole_(whole) {}

  /// Empty when the record may follow those before it.
  std::string add(const Record& record) {
    switch (static_cast<RecordType>(record.type)) {
      case RecordType::kCrc: return {};
      case RecordType::kMetadata:
        if (!decode_metadata(record.data)) return "metadata cannot be decoded";
        if (!metadata_.empty() && metadata_ != record.data) return "conflicting metadata";
        metadata_ = record.data;
        return {};
      case RecordType::kState: {
        const auto state = proto::decode_hard_state(record.data);
        if (!state) return "the hard state cannot be decoded";
        commit_ = state->commit;
        return {};
      }
      case RecordType::kSnapshot: {
        const auto marker = decode_marker(record.data);
        if (!marker) return "the snapshot marker cannot be decoded";
        marker_ = std::max(marker_, marker->index);
        return {};
      }
      case RecordType::kEntry: return add_entry(record.data);
    }
    return fmt::format("unexpected block type {}", record.type);
  }

  std::uint64_t first() const { return first_; }
  std::uint64_t last() const { return last_; }
  std::uint64_t end() const { return std::max(last_, marker_); }
  std::uint64_t commit() const { return commit_; }

 private:
  std::string add_entry(base::BytesView data) {
    std::uint64_t index = 0;
    std::uint64_t type = 0;
    proto::WireReader reader(data);
    while (reader.next()) {
      if (reader.number() == 1 && reader.is_varint()) type = reader.varint();
      if (reader.number() == 3 && reader.is_varint()) index = reader.varint();
    }
    if (!reader.ok() || type > 2) return "the entry cannot be decoded";
    const std::uint64_t before = end();
    const bool gap = (whole_ || first_ != 0) && index > before + 1;
    if (first_ == 0) first_ = index;
    last_ = index;
    if (gap) return fmt::format("entry {} follows {}: slice bounds out of range", index, before);
    return {};
  }

  const bool whole_;
  base::Bytes metadata_;
  std::uint64_t first_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t marker_ = 0;
  std::uint64_t commit_ = 0;
};

std::string describe_break(const FoundFrame& frame, const std::string& file) {
  const std::string place = fmt::format("at byte {} of {}", frame.offset, file);
  switch (frame.verdict) {
    case FrameVerdict::kCrcMismatch:
      return fmt::format("crc mismatch {}: stored {:x}, computed {:x}", place, frame.record.crc, frame.computed_crc);
    case FrameVerdict::kUndecodable: return "a frame that is no record " + place;
    case FrameVerdict::kBeyondFile: return fmt::format("a frame of {} bytes that reaches beyond the file {}", frame.length.length, place);
    case FrameVerdict::kShortWord: return "the file ends within a length word " + place;
    case FrameVerdict::kOk:
    case FrameVerdict::kUnchecked: break;
  }
  return place;
}

base::Result<Ending> dump_log(base::Env& env, const Log& log, const DumpOptions& options, const Sink& out, bool& alive) {
  DumpPrinter printer(options, out);
  FrameWalker walker;
  const std::string& first_file = log.files.front();
  const auto first_id = parse_segment_name(std::string_view(first_file).substr(first_file.rfind('/') + 1));
  OrderCheck order(first_id && first_id->sequence == 0);
  Ending ending = Ending::kIntact;
  std::string text;
  // The first thing found decides; what follows it cannot be judged.
  const auto decide = [&](Ending what, std::string why) {
    if (ending != Ending::kIntact) return;
    ending = what;
    text = std::move(why);
  };
  std::string end_text;
  for (std::size_t i = 0; i < log.files.size() && alive; ++i) {
    const std::string& path = log.files[i];
    ETCDPP_ASSIGN(const auto file, env.open(path, base::OpenMode::kReadOnly));
    ETCDPP_ASSIGN(const std::uint64_t size, file->size());
    alive = printer.segment(path, size);
    ETCDPP_ASSIGN(const SegmentEnd end, walker.walk(*file, i + 1 == log.files.size(), [&](const FoundFrame& frame) {
      alive = alive && printer.frame(frame);
      if (frame.behind_end) return alive;
      if (frame.broken()) {
        decide(frame.torn ? Ending::kTornTail : Ending::kDamaged, describe_break(frame, path));
      } else if (std::string complaint = order.add(frame.record); !complaint.empty()) {
        decide(Ending::kDamaged, fmt::format("{}, at byte {} of {}", complaint, frame.offset, path));
      }
      return alive;
    }));
    if (end.data_behind)
      decide(Ending::kHiddenData, fmt::format("a zero length word at byte {} of {} ends it, but bytes follow at {}", end.offset, path, *end.data_behind));
    end_text = fmt::format("it ends at byte {} of {}, {}", end.offset, path,
                           end.zero_word ? fmt::format("{} bytes of preallocated zeros follow", size - std::min(size, end.offset)) : "the end of the file");
  }
  if (!alive) return ending;
  if (!log.missing.empty()) decide(Ending::kDamaged, "a segment is missing " + log.missing);
  if (order.first() != 0 && order.commit() > order.end())
    decide(Ending::kDamaged, fmt::format("the last hard state's commit {} is above the last entry {}: synced data is missing", order.commit(), order.end()));
  if (ending == Ending::kIntact) text = end_text;
  if (ending == Ending::kTornTail) text += "; etcd and etcdpp cut it off there at their next start, and keep a copy";
  if (ending == Ending::kHiddenData) text += "; etcd starts without them: a crash's unsynced work, or synced data that was lost";
  alive = printer.verdict(log.name, ending, text, order.first(), order.last());
  return ending;
}

}  // namespace

base::Result<Ending> dump(base::Env& env, std::span<const std::string> paths, const DumpOptions& options, const Sink& out) {
  // Damaged payloads are told in our words, not on standard error.
  const google::protobuf::LogSilencer silence;
  Ending worst = Ending::kIntact;
  bool alive = true;
  for (const std::string& path : paths) {
    if (!alive) break;
    ETCDPP_ASSIGN(const Log log, find_log(env, path));
    ETCDPP_ASSIGN(const Ending ending, dump_log(env, log, options, out, alive));
    // Damage is worse than hidden data, and that than a torn tail.
    const auto badness = [](Ending e) { return e == Ending::kDamaged ? 3 : e == Ending::kHiddenData ? 2 : e == Ending::kTornTail ? 1 : 0; };
    if (badness(ending) > badness(worst)) worst = ending;
  }
  return worst;
}

}  // namespace etcdpp::wal
