// waldump --salvage: what can be read of a log, in a log that is whole again.

#include <algorithm>
#include <cstring>

#include <etcdpp/base/crc32c.h>
#include <etcdpp/proto/raft_codec.h>
#include <etcdpp/wal/dump.h>
#include <etcdpp/wal/errc.h>
#include <fmt/format.h>

#include "../log_reader.h"
#include "../replay.h"
#include "log_walker.h"
#include "output.h"
#include "record_shape.h"
#include "text_out.h"
#include "verdict_text.h"

namespace etcdpp::wal {

namespace {

// Writes records with their payloads as they are, in frames and a chain of their own.
class RecordWriter {
 public:
  RecordWriter(base::Env& env, std::string directory) : env_(env), directory_(std::move(directory)) {}

  // A segment begins with the checksum so far, and whose log it is.
  base::Result<> begin_segment(SegmentId id, base::BytesView metadata) {
    ETCDPP_TRY(end_segment());
    ETCDPP_ASSIGN(file_, env_.open(directory_ + "/" + segment_name(id), base::OpenMode::kCreateNew, 0600));
    offset_ = 0;
    ETCDPP_TRY(append(RecordType::kCrc, {}));
    return append(RecordType::kMetadata, metadata);
  }

  base::Result<> append(RecordType type, base::BytesView data) {
    if (type != RecordType::kCrc) crc_ = base::crc32c(crc_, data);
    const std::size_t at = buffer_.size();
    buffer_.resize(at + frame_size(type, crc_, data.size()));
    char* const frame = buffer_.data() + at;
    char* end = proto::put_varint_field(frame + kLengthWordSize, 1, static_cast<std::uint64_t>(type));
    end = proto::put_varint_field(end, 2, crc_);
    if (type != RecordType::kCrc) {
      end = proto::put_length_field(end, 3, data.size());
      if (!data.empty()) std::memcpy(end, data.data(), data.size());
      end += data.size();
    }
    base::put_le64(frame, encode_length_word(static_cast<std::uint64_t>(end - frame) - kLengthWordSize));
    return buffer_.size() < kBuffer ? base::Result<>{} : flush();
  }

  base::Result<> end_segment() {
    if (!file_) return {};
    ETCDPP_TRY(flush());
    ETCDPP_TRY(file_->sync_all());
    file_.reset();
    return {};
  }

 private:
  static constexpr std::size_t kBuffer = 1 << 20;

  base::Result<> flush() {
    ETCDPP_TRY(file_->write_at(offset_, buffer_));
    offset_ += buffer_.size();
    buffer_.clear();
    return {};
  }

  base::Env& env_;
  const std::string directory_;
  std::unique_ptr<base::File> file_;
  base::Bytes buffer_;
  std::uint64_t offset_ = 0;
  std::uint32_t crc_ = 0;
};

struct Loss {
  std::string segment;
  std::uint64_t offset;
  std::string text;
};

class Salvage {
 public:
  Salvage(base::Env& env, LogFiles log, const DumpHooks& hooks, const Style& style, Output& out)
      : env_(env), log_(std::move(log)), hooks_(hooks), style_(style), out_(out) {}

  base::Result<Ending> run(const std::string& target) {
    ETCDPP_TRY(find_owner());
    const std::string temporary = target + ".tmp";
    ETCDPP_TRY(env_.remove_tree(temporary));
    ETCDPP_TRY(env_.make_directories(temporary, 0700));
    RecordWriter writer(env_, temporary);
    ETCDPP_TRY(copy(writer));
    ETCDPP_TRY(writer.end_segment());
    ETCDPP_TRY(env_.sync_directory(temporary));
    if (env_.exists(target)) ETCDPP_TRY(env_.remove_tree(target));
    ETCDPP_TRY(env_.rename(temporary, target));
    const std::size_t slash = target.find_last_of('/');
    ETCDPP_TRY(env_.sync_directory(slash == std::string::npos ? "." : slash == 0 ? "/" : target.substr(0, slash)));
    report(target);
    return lost_frames_ == 0 && lost_bytes_.empty() ? Ending::kIntact : Ending::kDamaged;
  }

 private:
  // Every segment repeats whose log it is, so one of them will say.
  base::Result<> find_owner() {
    LogWalker walker(env_, log_, hooks_);
    for (;;) {
      ETCDPP_ASSIGN(const bool more, walker.next());
      if (!more) break;
      const FoundFrame& frame = walker.frame();
      if (!frame.has_record() || !is(frame, RecordType::kMetadata) || !usable(frame) || !has_shape_of_its_type(frame.record)) continue;
      if (!decode_metadata(frame.record.data)) continue;
      metadata_ = frame.record.data;
      if (frame.verdict != FrameVerdict::kUnchecked) return {};
    }
    if (!metadata_.empty()) return {};
    owner_lost_ = true;
    metadata_ = encode_metadata({});
    return {};
  }

  static bool is(const FoundFrame& frame, RecordType type) { return frame.record.type == static_cast<std::int64_t>(type); }
  static bool usable(const FoundFrame& frame) { return !frame.broken() || frame.record_intact; }

  base::Result<> copy(RecordWriter& writer) {
    LogWalker walker(env_, log_, hooks_);
    std::optional<std::size_t> file;
    for (;;) {
      ETCDPP_ASSIGN(const bool more, walker.next());
      if (!more) break;
      if (file != walker.file()) ETCDPP_TRY(begin_segment(writer, walker.path()));
      file = walker.file();
      ETCDPP_TRY(take(writer, walker));
    }
    if (!file) ETCDPP_TRY(begin_segment(writer, log_.files.front()));
    return finish(writer, walker);
  }

  base::Result<> finish(RecordWriter& writer, const LogWalker& walker) {
    // The last entries are lost, and a hard state behind them is not.
    state_.commit = std::max(state_.commit, unchecked_commit_);
    if (state_.commit >= next_index_ && (entries_ > 0 || log_.from_first())) ETCDPP_TRY(put_marker(writer, state_.commit, term_));
    // A marker counts only at or below the commit index. Whether its entry was committed, the database knows: a start needs it.
    if (!gaps_.empty() && state_.commit < gaps_.back().last) {
      state_.term = std::max(state_.term, gaps_.back().term_behind);
      state_.commit = gaps_.back().last;
      char bytes[proto::kMaxHardStateSize];
      ETCDPP_TRY(writer.append(RecordType::kState, {bytes, proto::encode_hard_state(state_, bytes)}));
    }
    verdict_ = to_string(walker.ending());
    verdict_text_ = walker.text();
    if (walker.ending() == Ending::kUnreadable) lost_bytes_ = walker.text();
    return {};
  }

  base::Result<> begin_segment(RecordWriter& writer, const std::string& path) {
    const auto named = parse_segment_name(std::string_view(path).substr(path.rfind('/') + 1));
    SegmentId id = named.value_or(SegmentId{0, next_index_});
    // Numbered without a hole, whatever was missing.
    if (segments_ > 0) id.sequence = sequence_ + 1;
    sequence_ = id.sequence;
    ++segments_;
    ETCDPP_TRY(writer.begin_segment(id, metadata_));
    // Where every log begins; an own copy of it is not taken again.
    if (segments_ == 1 && id.sequence == 0) {
      ETCDPP_TRY(writer.append(RecordType::kSnapshot, encode_marker({})));
      first_marker_ = true;
    }
    return {};
  }

  base::Result<> take(RecordWriter& writer, const LogWalker& walker) {
    const FoundFrame& frame = walker.frame();
    if (frame.phantom) return {};
    ++frames_;
    if (!usable(frame)) {
      lose(walker.path(), frame, to_string(frame.verdict));
      return {};
    }
    if (!has_shape_of_its_type(frame.record)) {
      lose(walker.path(), frame, "its data are not of its type, which no checksum covers");
      return {};
    }
    const bool sure = frame.verdict != FrameVerdict::kUnchecked;
    if (frame.record_intact && frame.verdict != FrameVerdict::kCrcMismatch) ++length_words_;
    if (frame.verdict == FrameVerdict::kUnchecked) ++unchecked_;
    if (frame.behind_end) ++behind_end_;
    switch (static_cast<RecordType>(frame.record.type)) {
      case RecordType::kCrc:
      case RecordType::kMetadata: break;  // each segment has its own
      case RecordType::kState: {
        const auto state = proto::decode_hard_state(frame.record.data);
        if (!state) return lose(walker.path(), frame, "no hard state"), base::Result<>{};
        if (state->term < state_.term || state->commit < state_.commit)
          return lose(walker.path(), frame, "a hard state that goes back"), base::Result<>{};
        if (!sure && (state->commit > reach(walker) || (state->term == state_.term && state_.vote != 0 && state->vote != state_.vote)))
          return lose(walker.path(), frame, "unchecked, and a hard state that cannot be here"), base::Result<>{};
        if (sure) state_ = *state;
        else unchecked_commit_ = std::max(unchecked_commit_, state->commit);
        ETCDPP_TRY(writer.append(RecordType::kState, frame.record.data));
        break;
      }
      case RecordType::kSnapshot: {
        const auto marker = decode_marker(frame.record.data);
        if (!marker) return lose(walker.path(), frame, "no snapshot marker"), base::Result<>{};
        if (marker->conf_state) conf_state_ = marker->conf_state;
        if (marker->index >= next_index_) next_index_ = marker->index + 1;
        if (marker->index == 0 && std::exchange(first_marker_, false)) break;
        ETCDPP_TRY(writer.append(RecordType::kSnapshot, frame.record.data));
        break;
      }
      case RecordType::kEntry: {
        if (!walker.entry()) return lose(walker.path(), frame, "no entry"), base::Result<>{};
        const std::uint64_t index = walker.entry()->index;
        if (index < next_index_ && index <= state_.commit) return lose(walker.path(), frame, "an entry that would write over a committed one"), base::Result<>{};
        if (!sure && (index < next_index_ || index > reach(walker))) return lose(walker.path(), frame, "unchecked, and an index that cannot be here"), base::Result<>{};
        ETCDPP_TRY(bridge(writer, *walker.entry()));
        ETCDPP_TRY(writer.append(RecordType::kEntry, frame.record.data));
        break;
      }
      default: return lose(walker.path(), frame, "an unknown record"), base::Result<>{};
    }
    ++kept_;
    last_file_ = walker.file();
    last_offset_ = frame.offset;
    return {};
  }

  // The highest index that can be at this place: no more entries are missing than fit into the bytes that were stepped over.
  std::uint64_t reach(const LogWalker& walker) const {
    if (last_file_ != walker.file()) return ~std::uint64_t{0};
    return next_index_ + (walker.frame().offset - last_offset_) / kSmallestEntryFrame;
  }

  // Entries cannot be made up; a marker says that they are in the database or nowhere.
  base::Result<> bridge(RecordWriter& writer, const EntryView& entry) {
    const bool begun = entries_ > 0 || log_.from_first();
    if (begun && entry.index > next_index_) ETCDPP_TRY(put_marker(writer, entry.index - 1, entry.term));
    ++entries_;
    next_index_ = entry.index + 1;
    term_ = entry.term;
    follow_conf_change(entry);
    return {};
  }

  base::Result<> put_marker(RecordWriter& writer, std::uint64_t index, std::uint64_t term_behind) {
    gaps_.push_back({next_index_, index, term_, term_behind});
    const SnapshotMarker marker{index, term_ == 0 ? term_behind : term_, conf_state_.value_or(raft::ConfState{})};
    next_index_ = index + 1;
    return writer.append(RecordType::kSnapshot, encode_marker(marker));
  }

  // The members as far as the log tells, for the markers that are put.
  void follow_conf_change(const EntryView& entry) {
    if (entry.type != 1) return;
    std::uint64_t type = 0;
    std::uint64_t node = 0;
    proto::WireReader reader(entry.data);
    while (reader.next()) {
      if (reader.number() == 2 && reader.is_varint()) type = reader.varint();
      if (reader.number() == 3 && reader.is_varint()) node = reader.varint();
    }
    if (node == 0) return;
    raft::ConfState state = conf_state_.value_or(raft::ConfState{});
    const auto set = [node](std::vector<raft::NodeId>& ids, bool in) {
      std::erase(ids, node);
      if (in) ids.insert(std::upper_bound(ids.begin(), ids.end(), node), node);
    };
    if (type == 0 || type == 1 || type == 3) {
      set(state.voters, type == 0);
      set(state.learners, type == 3);
    }
    conf_state_ = std::move(state);
  }

  void lose(const std::string& path, const FoundFrame& frame, std::string_view why) {
    ++lost_frames_;
    if (losses_.size() < kMostLosses) losses_.push_back({path, frame.offset, std::string(why)});
  }

  void report(const std::string& target) const;

  struct Gap {
    std::uint64_t first;
    std::uint64_t last;
    std::uint64_t term_before;
    std::uint64_t term_behind;
  };
  static constexpr std::size_t kMostLosses = 10000;
  static constexpr std::uint64_t kSmallestEntryFrame = 24;

  base::Env& env_;
  const LogFiles log_;
  const DumpHooks& hooks_;
  const Style& style_;
  Output& out_;
  base::Bytes metadata_;
  bool owner_lost_ = false;
  bool first_marker_ = false;
  std::optional<raft::ConfState> conf_state_;
  std::uint64_t sequence_ = 0;
  std::uint64_t segments_ = 0;
  std::uint64_t next_index_ = 1;
  std::uint64_t term_ = 0;
  /// The last one that was checked.
  raft::HardState state_;
  std::uint64_t unchecked_commit_ = 0;
  std::size_t last_file_ = ~std::size_t{0};
  std::uint64_t last_offset_ = 0;
  std::uint64_t entries_ = 0;
  std::uint64_t frames_ = 0;
  std::uint64_t kept_ = 0;
  std::uint64_t lost_frames_ = 0;
  std::uint64_t length_words_ = 0;
  std::uint64_t unchecked_ = 0;
  std::uint64_t behind_end_ = 0;
  std::vector<Loss> losses_;
  std::vector<Gap> gaps_;
  std::string lost_bytes_;
  std::string verdict_;
  std::string verdict_text_;
};

void Salvage::report(const std::string& target) const {
  std::string& text = out_.text();
  if (style_.json) {
    for (const Loss& loss : losses_) {
      TreeWriter tree(text, true);
      tree.open_object("");
      tree.word("salvage", "lost-frame");
      tree.bytes("segment", loss.segment);
      tree.number("offset", loss.offset);
      tree.word("why", loss.text);
      tree.close_object();
      text += '\n';
    }
    for (const Gap& gap : gaps_) {
      TreeWriter tree(text, true);
      tree.open_object("");
      tree.word("salvage", "missing-entries");
      tree.number("first-index", gap.first);
      tree.number("last-index", gap.last);
      tree.number("marker-index", gap.last);
      tree.close_object();
      text += '\n';
    }
    TreeWriter tree(text, true);
    tree.open_object("");
    tree.word("salvage", "end");
    tree.bytes("from", log_.name);
    tree.bytes("to", target);
    tree.number("frames", frames_);
    tree.number("kept", kept_);
    tree.number("lost", lost_frames_);
    tree.number("entries", entries_);
    tree.number("segments", segments_);
    tree.number("damaged-length-words", length_words_);
    tree.number("unchecked", unchecked_);
    tree.number("behind-end", behind_end_);
    if (owner_lost_) tree.boolean("owner-lost", true);
    if (!lost_bytes_.empty()) tree.bytes("unreadable", lost_bytes_);
    tree.word("verdict-before", verdict_);
    tree.bytes("text", verdict_text_);
    tree.close_object();
    text += '\n';
    return;
  }
  for (const Loss& loss : losses_) text += fmt::format("lost     the frame at byte {} of {}: {}\n", loss.offset, base::printable(loss.segment), loss.text);
  if (lost_frames_ > losses_.size()) text += fmt::format("lost     {} more frames\n", lost_frames_ - losses_.size());
  for (const Gap& gap : gaps_) {
    text += gap.first == gap.last ? fmt::format("missing  entry {}", gap.first) : fmt::format("missing  entries {} to {}", gap.first, gap.last);
    text += fmt::format("; a snapshot marker of index {} stands in its place: a start needs a database that has applied it\n", gap.last);
    if (gap.term_before != gap.term_behind)
      text += fmt::format("         the marker's term {} is a guess between {} and {}\n", gap.term_before, gap.term_before, gap.term_behind);
  }
  if (owner_lost_) text += "lost     whose log it is: no segment's metadata can be read, so the new log names member 0 of cluster 0\n";
  if (!lost_bytes_.empty()) text += "lost     " + base::printable(lost_bytes_) + "\n";
  text += fmt::format("before   {}: {}\n", verdict_, base::printable(verdict_text_));
  text += fmt::format("salvaged {} of {} frames, {} entries, into {} segment{} in {}\n", kept_, frames_, entries_, segments_, segments_ == 1 ? "" : "s", base::printable(target));
  if (length_words_ > 0) text += fmt::format("         {} of them had a damaged length word before a whole record\n", length_words_);
  if (unchecked_ > 0) text += fmt::format("         {} of them follow lost frames, so that their checksum could not be checked\n", unchecked_);
  if (behind_end_ > 0) text += fmt::format("         {} of them lay behind the old log's end: unsynced work of a crash, or data that a start would have lost\n", behind_end_);
}

}  // namespace

base::Result<Ending> salvage(base::Env& env, std::span<const std::string> paths, const std::string& target, const Style& style,
                             const DumpHooks& hooks, const Sink& out) {
  std::string directory = target;
  while (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
  if (env.exists(directory)) {
    const auto names = env.list(directory);
    if (!names || !names->empty()) return base::Error(Errc::kTargetExists, directory);
  }
  ETCDPP_ASSIGN(const std::vector<LogFiles> logs, find_logs(env, paths));
  if (logs.size() > 1) return base::Error(Errc::kBadFilter, "only one log can be salvaged at a time");
  Output output(out);
  ETCDPP_ASSIGN(const Ending ending, Salvage(env, logs.front(), hooks, style, output).run(directory));
  output.flush();
  return ending;
}

}  // namespace etcdpp::wal
