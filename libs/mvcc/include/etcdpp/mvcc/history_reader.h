#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <etcdpp/base/result.h>
#include <etcdpp/mvcc/revision_events.h>
#include <etcdpp/mvcc/view.h>

namespace etcdpp::mvcc {

struct HistoryLimits {
  std::size_t revisions = 4000;
  std::size_t bytes = 8 << 20;  ///< after at least one revision
};

/// Past revisions as the store holds them.
struct History {
  std::vector<RevisionEvents> revisions;
  /// All events from the wanted revision to this one are there.
  std::int64_t covered_to = 0;
  std::int64_t current_revision = 0;
};

/// Reads the events of the revisions from `from` on out of buffers and database: how watchers that the event log no
/// longer reaches catch up.
///
/// Called by the `watch` loop, one slice a call. Threads: any; takes a View and a database snapshot for the call.
/// Errors: kCompacted below the compact revision; kBadRow and the backend's kCorrupt stop the member.
base::Result<History> read_history(const Views& views, std::int64_t from, const HistoryLimits& limits = {});

}  // namespace etcdpp::mvcc
