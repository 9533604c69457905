#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <etcdpp/wal/record.h>

#include "file_window.h"
#include "log_reader.h"

namespace etcdpp::wal {

enum class FrameVerdict {
  kOk,
  kUnchecked,    ///< the running checksum is unknown here, behind bytes that were stepped over
  kCrcMismatch,
  kUndecodable,  ///< no record
  kBeyondFile,   ///< the length word reaches behind the file's end
  kShortWord,    ///< the file ends within a length word
};
const char* to_string(FrameVerdict verdict);

/// A frame as it lies on disk, whole or not.
struct FoundFrame {
  std::uint64_t offset = 0;
  std::uint64_t word = 0;
  LengthWord length;
  FrameVerdict verdict = FrameVerdict::kOk;
  /// Broken in the way a crash breaks the last segment's end.
  bool torn = false;
  /// Found behind a zero length word or a torn frame: for etcd it does not exist.
  bool behind_end = false;
  Record record;
  std::uint32_t computed_crc = 0;

  bool broken() const { return verdict != FrameVerdict::kOk && verdict != FrameVerdict::kUnchecked; }
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
/// a length cannot be believed, the next place that looks like a frame is searched.
/// Only reading the files can fail. One owner.
class FrameWalker {
 public:
  /// False ends the walk.
  using Visit = std::function<bool(const FoundFrame&)>;

  base::Result<SegmentEnd> walk(base::File& file, bool last_segment, const Visit& visit);

 private:
  base::Result<bool> looks_like_frame(std::uint64_t offset);
  base::Result<std::optional<std::uint64_t>> find_frame(std::uint64_t from);
  base::Result<std::optional<std::uint64_t>> find_data(std::uint64_t from);
  void check(FoundFrame& frame);

  FileWindow window_;
  // What the next record's checksum may continue: the computed one, and after a mismatch also the stored one.
  std::optional<std::uint32_t> running_ = 0;
  std::optional<std::uint32_t> alternative_;
};

}  // namespace etcdpp::wal
