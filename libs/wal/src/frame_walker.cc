#include "frame_walker.h"

#include <etcdpp/base/crc32c.h>

namespace etcdpp::wal {

namespace {
// No raft entry comes near; a search for frames need not read more to judge one.
constexpr std::uint64_t kMaxSearchedFrame = 64u << 20;
}  // namespace

const char* to_string(FrameVerdict verdict) {
  switch (verdict) {
    case FrameVerdict::kOk: return "ok";
    case FrameVerdict::kUnchecked: return "unchecked";
    case FrameVerdict::kCrcMismatch: return "crc-mismatch";
    case FrameVerdict::kUndecodable: return "undecodable";
    case FrameVerdict::kBeyondFile: return "beyond-file";
    case FrameVerdict::kShortWord: return "short-word";
  }
  return "?";
}

base::Result<bool> FrameWalker::looks_like_frame(std::uint64_t offset) {
  ETCDPP_ASSIGN(const base::BytesView head, window_.view(offset, kLengthWordSize + 3));
  if (head.size() < kLengthWordSize + 3) return false;
  const std::uint64_t word = base::get_le64(head.data());
  const auto [length, padding] = decode_length_word(word);
  if (word == 0 || length > kMaxSearchedFrame || word != encode_length_word(length)) return false;
  if (offset + kLengthWordSize + length + padding > window_.size()) return false;
  if (head[8] != 0x08 || head[9] < 1 || head[9] > 5 || head[10] != 0x10) return false;
  ETCDPP_ASSIGN(const base::BytesView body, window_.view(offset + kLengthWordSize, static_cast<std::size_t>(length) + padding));
  if (body.substr(static_cast<std::size_t>(length)).find_first_not_of('\0') != base::BytesView::npos) return false;
  return decode_record(body.substr(0, static_cast<std::size_t>(length))).has_value();
}

base::Result<std::optional<std::uint64_t>> FrameWalker::find_data(std::uint64_t from) {
  while (from < window_.size()) {
    ETCDPP_ASSIGN(const base::BytesView piece, window_.view(from, 64 * 1024));
    if (piece.empty()) break;
    const std::size_t at = piece.find_first_not_of('\0');
    if (at != base::BytesView::npos) return std::optional(from + at);
    from += piece.size();
  }
  return std::optional<std::uint64_t>();
}

base::Result<std::optional<std::uint64_t>> FrameWalker::find_frame(std::uint64_t from) {
  for (;;) {
    ETCDPP_ASSIGN(const std::optional<std::uint64_t> data, find_data(from));
    if (!data) return std::optional<std::uint64_t>();
    from = *data / 8 * 8;
    ETCDPP_ASSIGN(const bool found, looks_like_frame(from));
    if (found) return std::optional(from);
    from += 8;
  }
}

void FrameWalker::check(FoundFrame& frame) {
  const Record& record = frame.record;
  if (record.type == static_cast<std::int64_t>(RecordType::kCrc)) {
    frame.computed_crc = running_.value_or(record.crc);
    const bool unknown = !running_ || *running_ == 0;
    const bool continues = unknown || record.crc == *running_ || (alternative_ && record.crc == *alternative_);
    frame.verdict = continues ? FrameVerdict::kOk : FrameVerdict::kCrcMismatch;
    running_ = record.crc;
    alternative_.reset();
    return;
  }
  if (!running_) {
    frame.computed_crc = record.crc;
    frame.verdict = FrameVerdict::kUnchecked;
    running_ = record.crc;
    return;
  }
  frame.computed_crc = base::crc32c(*running_, record.data);
  if (frame.computed_crc != record.crc && alternative_) {
    const std::uint32_t other = base::crc32c(*alternative_, record.data);
    if (other == record.crc) frame.computed_crc = other;
  }
  if (frame.computed_crc == record.crc) {
    frame.verdict = FrameVerdict::kOk;
    running_ = record.crc;
    alternative_.reset();
  } else {
    frame.verdict = FrameVerdict::kCrcMismatch;
    running_ = frame.computed_crc;
    alternative_ = record.crc;
  }
}

base::Result<SegmentEnd> FrameWalker::walk(base::File& file, bool last_segment, const Visit& visit) {
  ETCDPP_TRY(window_.attach(file));
  SegmentEnd end;
  end.file_size = window_.size();
  bool ended = false;  // for a reader that follows etcd's rules
  bool torn = false;
  const auto end_here = [&](std::uint64_t offset) {
    if (!ended) end.offset = offset;
    ended = true;
  };
  for (std::uint64_t offset = 0;;) {
    ETCDPP_ASSIGN(const base::BytesView word_bytes, window_.view(offset, kLengthWordSize));
    if (word_bytes.empty()) {
      end_here(offset);
      return end;
    }
    FoundFrame frame;
    frame.offset = offset;
    frame.behind_end = end.zero_word || torn;
    if (word_bytes.size() < kLengthWordSize) {
      end_here(offset);
      frame.verdict = FrameVerdict::kShortWord;
      frame.torn = last_segment;
      // A few zeros are preallocated space.
      if (word_bytes.find_first_not_of('\0') != base::BytesView::npos || !end.zero_word) static_cast<void>(visit(frame));
      return end;
    }
    frame.word = base::get_le64(word_bytes.data());
    if (frame.word == 0) {
      end_here(offset);
      end.zero_word = true;
      ETCDPP_ASSIGN(const std::optional<std::uint64_t> data, find_data(offset));
      if (data && !end.data_behind) end.data_behind = data;
      ETCDPP_ASSIGN(const std::optional<std::uint64_t> next, find_frame(offset));
      if (!next) return end;
      offset = *next;
      running_.reset();
      alternative_.reset();
      continue;
    }
    frame.length = decode_length_word(frame.word);
    const std::uint64_t body_size = frame.length.length + frame.length.padding;
    if (body_size + offset > window_.size()) frame.verdict = FrameVerdict::kBeyondFile;
    base::BytesView body;
    if (frame.verdict == FrameVerdict::kOk) {
      ETCDPP_ASSIGN(body, window_.view(offset + kLengthWordSize, static_cast<std::size_t>(body_size)));
      if (body.size() < body_size) frame.verdict = FrameVerdict::kBeyondFile;
    }
    if (frame.verdict == FrameVerdict::kBeyondFile) {
      frame.torn = last_segment;
    } else if (const auto record = decode_record(body.substr(0, static_cast<std::size_t>(frame.length.length)))) {
      frame.record = *record;
      check(frame);
    } else {
      frame.verdict = FrameVerdict::kUndecodable;
    }
    const bool lengths_lie = frame.verdict == FrameVerdict::kBeyondFile || frame.verdict == FrameVerdict::kUndecodable;
    if (!lengths_lie && frame.broken()) {
      const bool of_crc = frame.record.type == static_cast<std::int64_t>(RecordType::kCrc);
      frame.torn = last_segment && !of_crc && is_torn(offset + kLengthWordSize, body);
    } else if (frame.verdict == FrameVerdict::kUndecodable) {
      frame.torn = last_segment && is_torn(offset + kLengthWordSize, body);
    }
    if (frame.broken()) {
      torn |= frame.torn && !ended;
      end_here(offset);
    }
    if (!visit(frame)) return end;
    if (!lengths_lie) {
      offset += kLengthWordSize + body_size;
      continue;
    }
    running_.reset();
    alternative_.reset();
    // An undecodable frame may still have a true length.
    if (frame.verdict == FrameVerdict::kUndecodable) {
      ETCDPP_ASSIGN(const bool followed, looks_like_frame(offset + kLengthWordSize + body_size));
      if (followed) {
        offset += kLengthWordSize + body_size;
        continue;
      }
    }
    ETCDPP_ASSIGN(const std::optional<std::uint64_t> next, find_frame(offset + 8));
    if (!next) return end;
    offset = *next;
  }
}

}  // namespace etcdpp::wal
