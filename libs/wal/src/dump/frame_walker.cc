#include "frame_walker.h"

#include <algorithm>
#include <span>
#include <utility>

#include <etcdpp/base/crc32c.h>
#include <etcdpp/proto/wire.h>

namespace etcdpp::wal {

namespace {

// A tag and a value each for type and checksum, a tag and a length for the data.
constexpr std::size_t kMaxHeadSize = 2 + 6 + 1 + proto::kMaxVarintSize;
constexpr int kSettleTimes = 3;

constexpr std::uint64_t round_up(std::uint64_t value) { return (value + 7) / 8 * 8; }

bool all_zero(base::BytesView bytes) {
  // Preallocated space is most of a young log: eight bytes at a time.
  while (bytes.size() >= 8) {
    if (base::get_le64(bytes.data()) != 0) return false;
    bytes.remove_prefix(8);
  }
  return bytes.find_first_not_of('\0') == base::BytesView::npos;
}

bool is_crc(const Record& record) { return record.type == static_cast<std::int64_t>(RecordType::kCrc); }

}  // namespace

const char* to_string(FrameVerdict verdict) {
  switch (verdict) {
    case FrameVerdict::kOk: return "ok";
    case FrameVerdict::kUnchecked: return "unchecked";
    case FrameVerdict::kCrcMismatch: return "crc-mismatch";
    case FrameVerdict::kUndecodable: return "undecodable";
    case FrameVerdict::kBeyondFile: return "beyond-file";
    case FrameVerdict::kShortWord: return "short-word";
    case FrameVerdict::kZeroWord: return "zero-word";
  }
  return "?";
}

/// What the first bytes of a record say, in the only shape that etcd and we write.
struct FrameWalker::Head {
  std::uint64_t word = 0;
  std::int64_t type = 0;
  std::uint32_t crc = 0;
  /// Of the whole record by its own lengths; 0 if those cannot be read.
  std::uint64_t record_size = 0;
};

base::Result<std::optional<FrameWalker::Head>> FrameWalker::read_head(std::uint64_t offset) {
  const std::optional<Head> none;
  ETCDPP_ASSIGN(const base::BytesView bytes, window_.view(offset, kLengthWordSize + kMaxHeadSize));
  if (bytes.size() < kLengthWordSize + 4) return none;
  const base::BytesView record = bytes.substr(kLengthWordSize);
  if (record[0] != 0x08 || record[1] < 1 || record[1] > 5 || record[2] != 0x10) return none;
  Head head;
  head.word = base::get_le64(bytes.data());
  head.type = record[1];
  std::size_t at = 3;
  const auto varint = [&](std::size_t longest) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < longest && at < record.size(); ++i) {
      const auto byte = static_cast<unsigned char>(record[at++]);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
      if (byte < 0x80) return std::optional(value);
    }
    return std::optional<std::uint64_t>();
  };
  const auto crc = varint(5);
  if (!crc || *crc > 0xffff'ffffu) return none;
  head.crc = static_cast<std::uint32_t>(*crc);
  if (head.type == static_cast<std::int64_t>(RecordType::kCrc)) {
    head.record_size = at;
  } else if (at < record.size() && record[at] == 0x1a) {
    ++at;
    const auto length = varint(proto::kMaxVarintSize);
    if (length && *length <= kMaxRecordSize) head.record_size = at + *length;
  }
  return std::optional(head);
}

base::Result<bool> FrameWalker::looks_like_frame(std::uint64_t offset) {
  ETCDPP_ASSIGN(const std::optional<Head> head, read_head(offset));
  if (!head || head->record_size == 0 || head->word != encode_length_word(head->record_size)) return false;
  const std::uint64_t end = offset + kLengthWordSize + head->record_size;
  const std::uint64_t padding = decode_length_word(head->word).padding;
  if (end + padding > window_.size()) return false;
  // Read apart, so that the window stays where it is.
  char bytes[8];
  ETCDPP_ASSIGN(const std::size_t got, source_->read_at(end, bytes, static_cast<std::size_t>(padding)));
  return got == padding && all_zero({bytes, got});
}

base::Result<bool> FrameWalker::begins_here(std::uint64_t offset) {
  if (offset == window_.size()) return true;
  return looks_like_frame(offset);
}

base::Result<std::optional<std::uint64_t>> FrameWalker::find_data(std::uint64_t from) {
  while (from < window_.size()) {
    ETCDPP_ASSIGN(const base::BytesView piece, window_.view(from, 64 * 1024));
    if (piece.empty()) break;
    if (!all_zero(piece)) return std::optional(from + piece.find_first_not_of('\0'));
    from += piece.size();
    ETCDPP_ASSIGN(from, source_->next_data(from));
  }
  return std::optional<std::uint64_t>();
}

// The file's size if there is none.
base::Result<std::uint64_t> FrameWalker::find_frame(std::uint64_t from) {
  for (from = round_up(from);; from += 8) {
    ETCDPP_ASSIGN(const base::BytesView word, window_.view(from, kLengthWordSize));
    if (word.size() < kLengthWordSize) return window_.size();
    if (base::get_le64(word.data()) == 0) {
      ETCDPP_ASSIGN(const std::optional<std::uint64_t> data, find_data(from));
      if (!data) return window_.size();
      from = *data / 8 * 8;
    }
    ETCDPP_ASSIGN(const bool found, looks_like_frame(from));
    if (found) return from;
  }
}

base::Result<> FrameWalker::open(SegmentSource& source, bool last_segment) {
  source_ = &source;
  last_segment_ = last_segment;
  ETCDPP_TRY(window_.attach(source));
  Position begin;
  begin.states = at_.states;
  at_ = begin;
  end_ = {};
  end_.file_size = window_.size();
  patience_ = 2 * window_.size() + (1 << 20);
  settled_at_ = ~std::uint64_t{0};
  settled_times_ = 0;
  return {};
}

base::Result<> FrameWalker::look_again() {
  ETCDPP_TRY(window_.attach(*source_));
  end_.file_size = window_.size();
  at_.done = false;
  return {};
}

base::Result<bool> FrameWalker::next(FoundFrame& frame) {
  if (!settle_ || !last_segment_ || at_.ended) return find_next(frame);
  for (;;) {
    const Position before = at_;
    const SegmentEnd end_before = end_;
    const bool damaged_before = damaged_;
    ETCDPP_ASSIGN(const bool found, find_next(frame));
    const bool strange = found ? frame.broken() || frame.behind_end : end_.data_behind.has_value();
    if (!strange) return found;
    if (settled_at_ != before.offset) settled_times_ = 0;
    settled_at_ = before.offset;
    if (settled_times_++ == kSettleTimes || !settle_()) return found;
    at_ = before;
    end_ = end_before;
    damaged_ = damaged_before;
    ETCDPP_TRY(look_again());
  }
}

void FrameWalker::end_here() {
  if (!at_.ended) end_.offset = at_.offset;
  at_.ended = true;
}

base::Result<bool> FrameWalker::find_next(FoundFrame& frame) {
  while (!at_.done) {
    const std::uint64_t offset = at_.offset;
    ETCDPP_ASSIGN(const base::BytesView word_bytes, window_.view(offset, kLengthWordSize));
    const bool zeros = all_zero(word_bytes);
    if (following_ && !at_.ended && (zeros || word_bytes.size() < kLengthWordSize)) {
      end_.offset = offset;
      return false;
    }
    if (word_bytes.empty() || (word_bytes.size() < kLengthWordSize && zeros && end_.zero_word)) {
      end_here();
      at_.done = true;
      break;
    }
    frame = {};
    frame.offset = offset;
    frame.behind_end = end_.zero_word || at_.torn;
    if (word_bytes.size() < kLengthWordSize) {
      frame.verdict = FrameVerdict::kShortWord;
      frame.torn = last_segment_;
      end_here();
      at_.done = true;
      return true;
    }
    frame.word = base::get_le64(word_bytes.data());
    if (frame.word == 0) {
      end_here();
      end_.zero_word = true;
      ETCDPP_ASSIGN(const std::optional<std::uint64_t> data, find_data(offset));
      if (!data) {
        at_.done = true;
        break;
      }
      if (!end_.data_behind) end_.data_behind = data;
      damaged_ = true;
      frame.behind_end = true;
      ETCDPP_ASSIGN(const bool intact, read_intact(offset, frame));
      if (intact) {
        frame.verdict = FrameVerdict::kZeroWord;
        return true;
      }
      ETCDPP_ASSIGN(at_.offset, find_frame(std::max(offset + 8, *data / 8 * 8)));
      at_.states.forget();
      at_.expected = 0;
      continue;
    }

    frame.length = decode_length_word(frame.word);
    const std::uint64_t body_size = frame.length.length + frame.length.padding;
    const std::uint64_t next = offset + kLengthWordSize + body_size;
    bool worth_reading = frame.length.length <= kMaxRecordSize;
    // A word that nobody writes: the record says where it really ends, if what comes next is no frame.
    std::uint64_t expected = next;
    if (frame.word != encode_length_word(frame.length.length)) {
      ETCDPP_ASSIGN(const std::optional<Head> head, read_head(offset));
      expected = offset + kLengthWordSize + round_up(head && head->record_size > 0 ? head->record_size : frame.length.length);
    }
    if (next > window_.size()) {
      frame.verdict = FrameVerdict::kBeyondFile;
      frame.torn = last_segment_;
    } else if (at_.ended && worth_reading) {
      // Behind damage only what has a record's shape is read: anything may stand there.
      ETCDPP_ASSIGN(const std::optional<Head> head, read_head(offset));
      worth_reading = head && head->record_size == frame.length.length;
    }
    if (frame.verdict == FrameVerdict::kOk && !worth_reading) frame.verdict = FrameVerdict::kUndecodable;
    const ChainStates states_before = at_.states;
    if (frame.verdict == FrameVerdict::kOk) {
      ETCDPP_ASSIGN(const base::BytesView body, window_.view(offset + kLengthWordSize, static_cast<std::size_t>(body_size)));
      const auto record = body.size() == body_size ? decode_record(body.substr(0, static_cast<std::size_t>(frame.length.length))) : std::nullopt;
      if (record) {
        frame.record = *record;
        check(frame);
      } else {
        frame.verdict = body.size() == body_size ? FrameVerdict::kUndecodable : FrameVerdict::kBeyondFile;
      }
      if (frame.broken()) frame.torn = last_segment_ && (body.size() < body_size || ((!record || !is_crc(*record)) && is_torn(offset + kLengthWordSize, body)));
    }
    if (!frame.broken()) {
      at_.expected = expected == next ? 0 : expected;
      at_.offset = next;
      return true;
    }
    at_.torn |= frame.torn && !at_.ended;
    end_here();
    damaged_ = true;
    if (at_.expected != 0) {
      // Not here, but where the last record ends by itself.
      frame.phantom = true;
      at_.states = states_before;
      at_.offset = std::exchange(at_.expected, 0);
    } else if (frame.verdict == FrameVerdict::kCrcMismatch) {
      at_.offset = next;
    } else {
      ETCDPP_TRY(step_over(frame));
    }
    return true;
  }
  return false;
}

// A record behind a damaged length word, if its own lengths and its checksum agree with each other.
base::Result<bool> FrameWalker::read_intact(std::uint64_t offset, FoundFrame& frame) {
  ETCDPP_ASSIGN(const std::optional<Head> head, read_head(offset));
  if (!head || head->record_size == 0 || offset + kLengthWordSize + head->record_size > window_.size()) return false;
  if (at_.states.count == 0 || head->record_size > patience_) return false;
  patience_ -= head->record_size;
  ETCDPP_ASSIGN(const base::BytesView bytes, window_.view(offset + kLengthWordSize, static_cast<std::size_t>(head->record_size)));
  const auto record = decode_record(bytes);
  if (!record) return false;
  const bool continues = is_crc(*record) ? at_.states.values[0] == record->crc : at_.states.find(record->data, record->crc) < at_.states.count;
  if (!continues) return false;
  frame.record = *record;
  frame.computed_crc = record->crc;
  frame.record_intact = true;
  at_.states.set(record->crc, true);
  at_.offset = std::min(offset + kLengthWordSize + round_up(head->record_size), window_.size());
  at_.expected = 0;
  return true;
}

// Where the next frame is, when the length word in front of this one cannot be believed.
base::Result<> FrameWalker::step_over(FoundFrame& frame) {
  ETCDPP_ASSIGN(const bool intact, read_intact(frame.offset, frame));
  if (intact) return {};

  ETCDPP_ASSIGN(const std::optional<Head> head, read_head(frame.offset));
  at_.states.forget();
  if (head) at_.states.set(head->crc, false);
  // One of the two lengths may still be true.
  const std::uint64_t by_word = frame.offset + kLengthWordSize + frame.length.length + frame.length.padding;
  if (frame.verdict == FrameVerdict::kUndecodable) {
    ETCDPP_ASSIGN(const bool here, begins_here(by_word));
    if (here) {
      at_.offset = by_word;
      return {};
    }
  }
  if (head && head->record_size > 0) {
    const std::uint64_t by_record = frame.offset + kLengthWordSize + round_up(head->record_size);
    ETCDPP_ASSIGN(const bool here, begins_here(by_record));
    if (here) {
      at_.offset = by_record;
      return {};
    }
  }
  ETCDPP_ASSIGN(at_.offset, find_frame(frame.offset / 8 * 8 + 8));
  return {};
}

std::size_t FrameWalker::ChainStates::find(base::BytesView data, std::uint32_t crc) const {
  std::size_t i = 0;
  while (i < count && base::crc32c(values[i], data) != crc) ++i;
  return i;
}

void FrameWalker::check_crc_record(FoundFrame& frame) {
  ChainStates& states = at_.states;
  const std::uint32_t crc = frame.record.crc;
  // A reader that begins here knows nothing yet: etcd's 0.
  const bool unknown = states.count == 0 || states.values[0] == 0;
  const std::span<const std::uint32_t> candidates(states.values.data(), damaged_ ? states.count : std::min<std::size_t>(states.count, 1));
  const bool continues = unknown || std::find(candidates.begin(), candidates.end(), crc) != candidates.end();
  frame.computed_crc = states.count == 0 ? crc : states.values[0];
  frame.verdict = continues ? FrameVerdict::kOk : FrameVerdict::kCrcMismatch;
  const ChainStates before = states;
  states.set(crc, continues);
  if (!continues || unknown) {
    for (std::size_t i = 0; i < before.count; ++i) states.add(before.values[i]);
  }
}

void FrameWalker::check(FoundFrame& frame) {
  const Record& record = frame.record;
  if (is_crc(record)) return check_crc_record(frame);
  ChainStates& states = at_.states;
  const std::size_t found = states.find(record.data, record.crc);
  if (found < states.count) {
    frame.computed_crc = record.crc;
    // What etcd refuses is broken, also where the damage is in a checksum before it.
    if (found > 0 && !damaged_) {
      frame.verdict = FrameVerdict::kCrcMismatch;
      frame.record_intact = true;
      frame.computed_crc = base::crc32c(states.values[0], record.data);
    }
    states.set(record.crc, true);
    return;
  }
  frame.verdict = states.sure ? FrameVerdict::kCrcMismatch : FrameVerdict::kUnchecked;
  frame.computed_crc = states.sure ? base::crc32c(states.values[0], record.data) : record.crc;
  const ChainStates before = states;
  states.set(record.crc, false);
  for (std::size_t i = 0; i < before.count; ++i) states.add(base::crc32c(before.values[i], record.data));
}

}  // namespace etcdpp::wal
