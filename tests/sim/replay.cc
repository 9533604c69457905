#include "replay.h"

#include <request_codec.h>

#include <errc.h>

namespace etcdpp::sim {

base::Result<Replay> Replay::of(const std::vector<raft::Entry>& entries, std::uint64_t last, std::int64_t min_ttl_seconds) {
  Replay replay{Model(min_ttl_seconds), {}, {}};
  for (const raft::Entry& entry : entries) {
    if (entry.index > last) break;
    if (entry.type != raft::EntryType::kNormal || entry.data.empty()) continue;
    etcdserverpb::InternalRaftRequest request;
    if (!server::parse_deep(request, entry.data.view()))
      return base::Error(server::Errc::kMalformedEntry, "index " + std::to_string(entry.index));
    const bool added = replay.outcomes.emplace(request.header().id(), replay.model.apply(request)).second;
    if (!added) replay.repeated.push_back(request.header().id());
  }
  return replay;
}

}  // namespace etcdpp::sim
