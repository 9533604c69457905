#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>
#include <etcdpp/wal/layout.h>
#include <etcdpp/wal/record.h>

#include "file_window.h"

namespace etcdpp::wal {

/// A segment as it is opened for reading or appending.
struct OpenSegment {
  SegmentId id;
  std::string name;
  std::unique_ptr<base::File> file;
};

/// Names of segments in a directory, in order; kFileNotFound when there are none, kSegmentMissing for a hole.
base::Result<std::vector<std::string>> list_segments(base::Env& env, const std::string& directory);
/// The segments from which a reader at `index` must start: the last one whose name's index is not above it, and all after.
base::Result<std::vector<std::string>> segments_from(base::Env& env, const std::string& directory, std::uint64_t index);
base::Result<std::vector<OpenSegment>> open_segments(base::Env& env, const std::string& directory,
                                                     const std::vector<std::string>& names, base::OpenMode mode);

/// A refusal with the command that shows more. Errors that say nothing about the log's content stay as they are.
base::Error with_advice(base::Error error, const std::string& directory);

/// Reads records of consecutive segments and decides where the log ends, exactly as etcd does (docs/formats/wal.md):
/// a zero length word ends a segment; a frame that is cut short, or broken with a whole sector of zeros in the last
/// segment, is what a crash leaves (kUnexpectedEof); anything else that is broken is damage (kCrcMismatch, kBadRecord).
/// One owner; the files outlive it.
class LogReader {
 public:
  struct Item {
    Record record;  ///< borrows until the next call
    const OpenSegment* segment = nullptr;
    std::uint64_t offset = 0;
  };

  explicit LogReader(const std::vector<OpenSegment>& segments) : segments_(segments) {}

  /// False at a clean end.
  base::Result<bool> next(Item& item);

  /// End of the last good record in the segment that was read last, and the running checksum there.
  std::uint64_t last_valid_offset() const { return offset_; }
  std::uint32_t crc() const { return crc_; }
  /// "in file 'NAME' at position: N" of the frame at which next() stopped.
  std::string position() const;

 private:
  const std::vector<OpenSegment>& segments_;
  std::size_t current_ = 0;
  bool started_ = false;
  FileWindow window_;
  std::uint64_t offset_ = 0;
  std::uint32_t crc_ = 0;
};

}  // namespace etcdpp::wal
