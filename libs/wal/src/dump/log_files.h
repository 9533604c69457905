#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <etcdpp/base/env.h>
#include <etcdpp/wal/layout.h>

namespace etcdpp::wal {

/// A log to look at: the files of one directory in order, or files that were named one by one.
struct LogFiles {
  std::string name;
  std::vector<std::string> files;
  /// "between A and B" when sequence numbers have a hole.
  std::string missing;
  /// Everything of the directory, and not single segments of it.
  bool whole_directory = false;
  /// What else lies there and is of the log: copies kept by repairs, segments in preparation.
  std::vector<std::string> kept_copies;
  std::vector<std::string> in_preparation;
  /// `member/snap` beside the log, if the path was a data directory that has it.
  std::string snap_directory;

  /// Whether its first segment is the one that every log begins with.
  bool from_first() const;
};

/// What each path means: a data directory, its `member`, a log directory, or a file. Segments of one directory that are
/// named one after another (`*.wal`) are one log.
base::Result<std::vector<LogFiles>> find_logs(base::Env& env, std::span<const std::string> paths);

}  // namespace etcdpp::wal
