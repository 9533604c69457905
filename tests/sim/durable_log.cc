#include "durable_log.h"

#include <algorithm>

#include <etcdpp/wal/errc.h>
#include <etcdpp/wal/wal.h>

namespace etcdpp::sim {

base::Result<> DurableLog::read(base::Env& env, const std::string& directory) {
  changed_at_ = 0;
  if (!wal::exists(env, directory)) return {};
  ETCDPP_ASSIGN(const auto markers, wal::valid_snapshots(env, directory));
  // The oldest from which everything is still there: the member itself starts at the newest.
  for (const wal::SnapshotMarker& marker : markers) {
    auto read = wal::read_all(env, directory, marker);
    const bool last = &marker == &markers.back();
    if (!read && !last) continue;
    if (!read) return base::Error(std::move(read.error()));
    if (marker.index > entries_.size())
      return base::Error(wal::Errc::kSnapshotNotFound, "the simulator has not read up to index " + std::to_string(marker.index));
    const auto& found = read->entries;
    const auto known = static_cast<std::size_t>(entries_.size() - marker.index);
    for (std::size_t i = 0; i < std::max(known, found.size()); ++i) {
      if (i < known && i < found.size() && entries_[marker.index + i] == found[i]) continue;
      if (i < known) changed_at_ = marker.index + i + 1;
      break;
    }
    entries_.resize(marker.index);
    entries_.insert(entries_.end(), found.begin(), found.end());
    return {};
  }
  entries_.clear();
  return {};
}

}  // namespace etcdpp::sim
