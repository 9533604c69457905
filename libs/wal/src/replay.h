#pragma once

#include <vector>

#include <etcdpp/wal/wal.h>

#include "log_reader.h"

namespace etcdpp::wal {

base::Bytes encode_metadata(const Metadata& metadata);
std::optional<Metadata> decode_metadata(base::BytesView bytes);
base::Bytes encode_marker(const SnapshotMarker& marker);
std::optional<SnapshotMarker> decode_marker(base::BytesView bytes);

/// Whether the log's owner votes alone at this marker.
bool is_sole_voter(const SnapshotMarker& marker, const Metadata& owner);
/// Of an entry record's data; 0 if it cannot be read.
std::uint64_t entry_index(base::BytesView bytes);

/// What a log's records mean, record by record: the state of a reader that starts behind one marker.
class Replay {
 public:
  explicit Replay(const SnapshotMarker& start) : start_(start) {}

  base::Result<> add(const LogReader::Item& item);

  /// Index that the log reaches: its last entry's, or the start marker's.
  std::uint64_t end_index() const { return result.entries.empty() ? start_.index : result.entries.back().index; }
  /// An error when the log ends below something that was synced once.
  base::Result<> check_end(std::uint64_t consistent_index, const std::string& where) const;

  ReadResult result;
  base::Bytes metadata;  ///< as it is in the log
  bool start_found = false;
  std::uint64_t newest_index = 0;

 private:
  const SnapshotMarker start_;
  /// Highest marker that the log's entries reached, or must have reached: a sole voter receives no snapshots.
  std::uint64_t marked_ = 0;
};

}  // namespace etcdpp::wal
