#include "log_walker.h"

#include <algorithm>

#include <fmt/format.h>

namespace etcdpp::wal {

namespace {

constexpr std::uint64_t kProgressStep = 4 << 20;

std::string describe_break(const FoundFrame& frame, const std::string& file) {
  const std::string place = fmt::format("at byte {} of {}", frame.offset, file);
  switch (frame.verdict) {
    case FrameVerdict::kCrcMismatch:
      return fmt::format("crc mismatch {}: stored {:08x}, computed {:08x}", place, frame.record.crc, frame.computed_crc);
    case FrameVerdict::kUndecodable: return "a frame that is no record " + place;
    case FrameVerdict::kBeyondFile: return fmt::format("a frame of {} bytes that reaches beyond the file {}", frame.length.length, place);
    case FrameVerdict::kShortWord: return "the file ends within a length word " + place;
    case FrameVerdict::kZeroWord:
    case FrameVerdict::kOk:
    case FrameVerdict::kUnchecked: break;
  }
  return place;
}

}  // namespace

const char* to_string(Ending ending) {
  switch (ending) {
    case Ending::kIntact: return "intact";
    case Ending::kUnreadable: return "unreadable";
    case Ending::kTornTail: return "torn tail";
    case Ending::kDamaged: return "damaged";
    case Ending::kHiddenData: return "hidden data";
    case Ending::kContradiction: return "contradiction";
    case Ending::kParts: return "parts";
  }
  return "?";
}

Ending worse(Ending a, Ending b) {
  const auto badness = [](Ending e) {
    switch (e) {
      case Ending::kIntact: return 0;
      case Ending::kTornTail: return 1;
      case Ending::kHiddenData: return 2;
      case Ending::kContradiction: return 3;
      case Ending::kDamaged: return 4;
      case Ending::kParts: return 5;
      case Ending::kUnreadable: return 6;
    }
    return 0;
  };
  return badness(b) > badness(a) ? b : a;
}

LogWalker::LogWalker(base::Env& env, const LogFiles& log, const DumpHooks& hooks)
    : env_(env), log_(log), hooks_(hooks), check_(log.from_first(), log.whole_directory) {
  if (hooks.settle) walker_.set_settle([this] { return hooks_.settle(path()); });
}

void LogWalker::decide(Ending ending, std::uint64_t offset, std::string text) {
  if (stopped_ || ending == Ending::kIntact) return;
  // Contradictions may be followed by worse.
  if (ending_ != Ending::kIntact && !(ending_ == Ending::kContradiction && ending != Ending::kContradiction)) return;
  ending_ = ending;
  text_ = std::move(text);
  verdict_path_ = path();
  verdict_offset_ = offset;
  stopped_ = ending != Ending::kContradiction;
}

// False: it could not be read, and the next one is to be tried.
base::Result<bool> LogWalker::open_segment() {
  auto opened = SegmentSource::open(env_, path());
  // A running member may have deleted its oldest segments since they were listed.
  if (!opened && opened.error().code == std::errc::no_such_file_or_directory && frames_ == 0 && current_ + 1 < log_.files.size() && log_.whole_directory) {
    return false;
  }
  if (!opened) {
    if (unreadable_.empty()) unreadable_ = opened.error().message();
    if (log_.files.size() == 1) return opened.error();
    if (on_segment) on_segment(path(), 0);
    return false;
  }
  source_ = std::move(*opened);
  const bool last = current_ + 1 == log_.files.size();
  walker_.set_following(following_ && last);
  ETCDPP_TRY(walker_.open(*source_, last));
  if (on_segment) on_segment(path(), walker_.end().file_size);
  return true;
}

void LogWalker::end_segment() {
  const SegmentEnd& end = walker_.end();
  if (end.data_behind)
    decide(Ending::kHiddenData, end.offset, fmt::format("a zero length word at byte {} of {} ends it, but bytes follow at {}", end.offset, path(), *end.data_behind));
  if (source_->unreadable_bytes() > 0 && unreadable_.empty())
    unreadable_ = fmt::format("the device cannot read {}, first at byte {}", path(), source_->first_unreadable());
  bytes_before_ += end.file_size;
}

base::Result<bool> LogWalker::next() {
  while (!finished_) {
    if (!source_) {
      if (current_ == log_.files.size()) {
        --current_;
        finish();
        break;
      }
      ETCDPP_ASSIGN(const bool open, open_segment());
      if (!open) {
        ++current_;
        continue;
      }
    }
    ETCDPP_ASSIGN(const bool found, walker_.next(frame_));
    if (found) {
      judge_frame();
      return true;
    }
    if (following_ && current_ + 1 == log_.files.size()) return false;
    end_segment();
    if (current_ + 1 == log_.files.size()) {
      finish();
      break;
    }
    source_.reset();
    ++current_;
  }
  return false;
}

base::Result<> LogWalker::look_again() {
  const bool last = current_ + 1 == log_.files.size();
  walker_.set_following(last);
  return walker_.look_again();
}

void LogWalker::judge_frame() {
  ++frames_;
  entry_.reset();
  if (frame_.has_record()) {
    bytes_ += frame_.record.data.size();
    if (frame_.record.type == static_cast<std::int64_t>(RecordType::kEntry)) entry_ = view_entry(frame_.record.data);
  }
  if (hooks_.progress && bytes_before_ + frame_.offset >= reported_ + kProgressStep) {
    reported_ = bytes_before_ + frame_.offset;
    // Segments are of one size, but for the last.
    hooks_.progress(reported_, bytes_before_ + walker_.end().file_size * (log_.files.size() - current_));
  }
  if (frame_.behind_end) return;
  if (frame_.broken()) {
    decide(frame_.torn ? Ending::kTornTail : Ending::kDamaged, frame_.offset, describe_break(frame_, path()));
    return;
  }
  const LogCheck::Complaint complaint = check_.add(frame_.record, entry_);
  if (complaint)
    decide(complaint.refused ? Ending::kDamaged : Ending::kContradiction, frame_.offset,
           fmt::format("{}, at byte {} of {}", complaint.text, frame_.offset, path()));
}

void LogWalker::finish() {
  finished_ = true;
  const SegmentEnd& end = walker_.end();
  if (!log_.missing.empty()) decide(Ending::kDamaged, end.offset, "a segment is missing " + log_.missing);
  const LogCheck::Complaint complaint = check_.finish();
  if (complaint && complaint.refused && ending_ != Ending::kDamaged) {
    // No start cuts a tail off, or overlooks one, in a log that it refuses.
    const std::string why = ending_ == Ending::kIntact ? "" : "; " + text_;
    if (ending_ == Ending::kIntact) verdict_offset_ = end.offset;
    verdict_path_ = path();
    ending_ = Ending::kDamaged;
    text_ = fmt::format("{}; it ends at byte {} of {}{}", complaint.text, end.offset, path(), why);
  }
  switch (ending_) {
    case Ending::kIntact:
      verdict_path_ = path();
      verdict_offset_ = end.offset;
      text_ = fmt::format("it ends at byte {} of {}, {}", end.offset, path(),
                          end.zero_word ? fmt::format("{} bytes of preallocated zeros follow", end.file_size - std::min(end.file_size, end.offset))
                                        : "the end of the file");
      break;
    case Ending::kTornTail:
      text_ += "; etcd and etcdpp cut it off there at their next start and keep a copy (etcdpp refuses if its database has applied more)";
      break;
    case Ending::kHiddenData:
      text_ += "; etcd starts without them: a crash's unsynced work, or synced data that was lost (then etcdpp refuses)";
      break;
    case Ending::kContradiction: text_ += "; no start would notice, but a sound member does not write this"; break;
    default: break;
  }
  if (!unreadable_.empty()) {
    text_ = unreadable_ + (ending_ == Ending::kIntact ? "" : "; " + text_);
    ending_ = Ending::kUnreadable;
  }
}

}  // namespace etcdpp::wal
