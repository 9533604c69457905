#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace etcdpp::wal {

/// Names inside a data directory, as etcd has them (docs/formats/wal.md, docs/formats/snap.md).

/// `<data-dir>/member`, `…/member/wal`, `…/member/snap` and `…/member/etcdpp`.
std::string member_directory(std::string_view data_dir);
std::string wal_directory(std::string_view data_dir);
std::string snap_directory(std::string_view data_dir);
std::string own_directory(std::string_view data_dir);

/// A segment's place in the log, both parts in its name.
struct SegmentId {
  std::uint64_t sequence = 0;
  /// Index of the first entry that may be in it.
  std::uint64_t index = 0;
  friend bool operator==(const SegmentId&, const SegmentId&) = default;
};

/// "%016x-%016x.wal".
std::string segment_name(SegmentId id);
/// Nothing for any other name, whatever its suffix.
std::optional<SegmentId> parse_segment_name(std::string_view name);

/// Place of a raft snapshot file: term first in the name, so that the newest sorts last.
struct SnapshotId {
  std::uint64_t term = 0;
  std::uint64_t index = 0;
  friend bool operator==(const SnapshotId&, const SnapshotId&) = default;
};

/// "%016x-%016x.snap".
std::string snapshot_file_name(SnapshotId id);
std::optional<SnapshotId> parse_snapshot_file_name(std::string_view name);

/// "%016x.snap.db": a whole database received from the leader, before it is installed.
std::string database_snapshot_name(std::uint64_t index);
std::optional<std::uint64_t> parse_database_snapshot_name(std::string_view name);

}  // namespace etcdpp::wal
