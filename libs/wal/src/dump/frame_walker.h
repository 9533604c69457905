#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>

#include <etcdpp/wal/record.h>

#include "../file_window.h"
#include "segment_source.h"

namespace etcdpp::wal {

enum class FrameVerdict {
  kOk,
  kUnchecked,    ///< the running checksum is unknown here, behind bytes that were stepped over
  kCrcMismatch,
  kUndecodable,  ///< no record
  kBeyondFile,   ///< the length word reaches behind the file's end
  kShortWord,    ///< the file ends within a length word
  kZeroWord,     ///< the length word is 0, which ends the file for every reader, but a whole record follows it
};
const char* to_string(FrameVerdict verdict);

/// A frame as it lies on disk, whole or not. Borrows from its walker until the next call.
struct FoundFrame {
  std::uint64_t offset = 0;
  std::uint64_t word = 0;
  LengthWord length;
  FrameVerdict verdict = FrameVerdict::kOk;
  /// Broken in the way a crash breaks the last segment's end.
  bool torn = false;
  /// Found behind a zero length word or a torn frame: for etcd it does not exist.
  bool behind_end = false;
  /// Broken as it is, its record is whole: only the length word before it is damaged, or only a checksum before it that this one
  /// goes on from.
  bool record_intact = false;
  /// No frame at all: a damaged padding in the length word before it leads here, the next frame lies elsewhere.
  bool phantom = false;
  Record record;
  std::uint32_t computed_crc = 0;

  bool broken() const { return verdict != FrameVerdict::kOk && verdict != FrameVerdict::kUnchecked; }
  bool has_record() const { return !phantom && (!broken() || verdict == FrameVerdict::kCrcMismatch || record_intact); }
};

struct SegmentEnd {
  /// Behind the last frame before the first zero length word, broken frame or end of file.
  std::uint64_t offset = 0;
  std::uint64_t file_size = 0;
  bool zero_word = false;
  /// The first byte behind a zero length word that is not zero.
  std::optional<std::uint64_t> data_behind;
};

/// Walks frames of one segment after another, whatever state they are in: the lenient twin of LogReader. A broken frame
/// is told from its neighbours (each checksum is tried against both the stored and the computed one before it); where
/// a length word cannot be believed, the record's own lengths are tried, and then the next place that looks like a frame
/// is searched.
///
/// Its work is bounded by a small multiple of the file's size, whatever the file holds. Only reading can fail. One owner.
///
///     walker.open(source, true);
///     for (FoundFrame frame; walker.next(frame).value();) …
class FrameWalker {
 public:
  /// Goes on in another segment. Of the last one's frames is asked whether a crash tore them.
  base::Result<> open(SegmentSource& source, bool last_segment);

  /// False at the segment's end: see end().
  base::Result<bool> next(FoundFrame& frame);
  const SegmentEnd& end() const { return end_; }

  /// For the tail of a log that is being written: called before something is reported that a write in progress explains. If it
  /// says true, it has waited a moment and what was found is read again.
  void set_settle(std::function<bool()> settle) { settle_ = std::move(settle); }
  /// The end is only the end so far: nothing behind it is searched, and look_again() goes on from there.
  void set_following(bool following) { following_ = following; }
  base::Result<> look_again();

 private:
  struct Head;
  /// What the next record's checksum may go on from. First is what etcd goes on from; others are there only behind damage: each
  /// value that would be right if either the data or the stored checksum of a broken record were.
  struct ChainStates {
    std::array<std::uint32_t, 8> values{};
    std::size_t count = 1;
    /// Whether the record before was checked, so that a value that does not follow is a damaged one's.
    bool sure = true;

    void set(std::uint32_t value, bool checked) {
      values[0] = value;
      count = 1;
      sure = checked;
    }
    void add(std::uint32_t value) {
      if (count < values.size()) values[count++] = value;
    }
    void forget() {
      count = 0;
      sure = false;
    }
    /// Place of the value from which `data` leads to `crc`; count if there is none.
    std::size_t find(base::BytesView data, std::uint32_t crc) const;
  };
  struct Position {
    std::uint64_t offset = 0;
    bool done = false;
    bool ended = false;  ///< for a reader that follows etcd's rules
    bool torn = false;
    ChainStates states;
    // Where the last frame's own lengths say that the next one begins; 0 if it is where it is.
    std::uint64_t expected = 0;
  };

  base::Result<bool> find_next(FoundFrame& frame);
  base::Result<std::optional<Head>> read_head(std::uint64_t offset);
  base::Result<bool> looks_like_frame(std::uint64_t offset);
  base::Result<bool> begins_here(std::uint64_t offset);
  base::Result<std::uint64_t> find_frame(std::uint64_t from);
  base::Result<std::optional<std::uint64_t>> find_data(std::uint64_t from);
  base::Result<bool> read_intact(std::uint64_t offset, FoundFrame& frame);
  base::Result<> step_over(FoundFrame& frame);
  void end_here();
  void check(FoundFrame& frame);
  void check_crc_record(FoundFrame& frame);

  Window<SegmentSource> window_;
  SegmentSource* source_ = nullptr;
  bool last_segment_ = false;
  bool following_ = false;
  std::function<bool()> settle_;
  Position at_;
  /// Something was broken, in this segment or one before: what follows is compared with all that may be right.
  bool damaged_ = false;
  SegmentEnd end_;
  std::uint64_t settled_at_ = ~std::uint64_t{0};
  int settled_times_ = 0;
  /// Bytes that may still be read in vain.
  std::uint64_t patience_ = 0;
};

}  // namespace etcdpp::wal
