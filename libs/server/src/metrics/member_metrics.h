#pragma once

#include <atomic>
#include <cstdint>

#include "compaction_times.h"
#include "counter.h"
#include "health_checks.h"
#include "histogram.h"
#include "request_times.h"

namespace etcdpp::server {

/// Operations of one read or write of the store, as etcd counts them: a prev_kv is a range too.
struct Operations {
  std::uint64_t ranges = 0;
  std::uint64_t puts = 0;
  std::uint64_t deletes = 0;
  std::uint64_t put_bytes = 0;
};

/// What a member counts while it works. Everything that can be looked up instead is looked up when somebody asks
/// (MetricsPage).
///
/// Threads: any; the parts that one loop alone writes are OwnedCounter.
struct MemberMetrics {
  // The log's.
  Histogram wal_sync{exponential_bounds(0.001, 2, 14)};
  OwnedCounter wal_bytes;

  // The commit loop's.
  Histogram backend_commit{exponential_bounds(0.001, 2, 14)};
  OwnedCounter compacted_rows;
  /// Milliseconds of one commit that took deletions along, and of a whole compaction.
  Histogram compaction_pause{exponential_bounds(1, 2, 13)};
  Histogram compaction_total{exponential_bounds(100, 2, 14)};
  CompactionTimes compactions;
  std::atomic<std::int64_t> last_compaction_seconds{0};

  Histogram defragmentation{exponential_bounds(0.1, 2, 13)};
  std::atomic<int> defragmenting{0};

  // Everybody's who reads or writes the store.
  Counter ranges, puts, deletes, txns, put_bytes;
  void count(const Operations& done) {
    if (done.ranges != 0) ranges.add(done.ranges);
    if (done.puts != 0) puts.add(done.puts);
    if (done.deletes != 0) deletes.add(done.deletes);
    if (done.put_bytes != 0) put_bytes.add(done.put_bytes);
    if (done.ranges + done.puts + done.deletes > 1) txns.add();
  }

  /// Whole requests as this member's clients see them; the reading of ranges; entries applied.
  RequestTimes requests{exponential_bounds(0.001, 2, 14)};
  RequestTimes range_reads{exponential_bounds(0.0001, 2, 20)};
  RequestTimes applies{exponential_bounds(0.0001, 2, 20)};
  Counter slow_applies;

  // The apply loop's.
  /// Milliseconds of one slice of a compaction's index pass.
  Histogram index_compaction_pause{exponential_bounds(0.5, 2, 14)};
  OwnedCounter leases_granted, leases_renewed, leases_revoked, leases_expired;
  Histogram lease_ttl{exponential_bounds(1, 2, 24)};

  // The readers'.
  Histogram hash{exponential_bounds(0.01, 2, 15)};
  Histogram hash_kv{exponential_bounds(0.01, 2, 15)};
  /// Seconds to stream the whole database to a client.
  Histogram database_snapshot{exponential_bounds(0.01, 2, 17)};

  /// What hubs and streams of watchers do: seconds of one delivery, the same for each of its events, answers to create, cancel and
  /// progress requests, and progress that was due.
  Histogram watch_batch{exponential_bounds(0.001, 2, 14)};
  Histogram watch_event{exponential_bounds(0.001, 2, 14)};
  Histogram watch_control{exponential_bounds(0.001, 2, 14)};
  Histogram watch_progress{exponential_bounds(0.001, 2, 14)};

  /// Seconds to write one .snap file.
  Histogram snapshot_save{exponential_bounds(0.001, 2, 14)};

  Counter health_successes, health_failures;
  HealthCheckCounts health_checks;
};

}  // namespace etcdpp::server
