#pragma once

#include <cstdint>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/random.h>

namespace etcdpp::sim {

/// What a seed decides about a run before it begins.
struct Tuning {
  explicit Tuning(base::Random& random);

  std::uint64_t clients;
  std::uint64_t requests;  ///< Of all lives together.
  std::uint64_t lives;     ///< How often the member is started before the last, undisturbed time.
  std::uint64_t keys;
  std::uint64_t largest_value;
  std::uint64_t leases;
  std::uint64_t compactions_per_hundred;
  std::uint64_t watch_streams;
  std::uint64_t watch_batch;      ///< Revisions of a response that catches up, and watchers of a round.
  std::uint64_t event_log_bytes;  ///< What the log keeps for watchers that are behind.

  std::uint64_t snapshot_count;
  std::uint64_t snapshot_catchup_entries;
  std::uint64_t segment_size;
  base::Duration batch_interval;
  std::int64_t batch_limit;
  std::int64_t compaction_batch_limit;
  std::uint64_t defragment_one_in;  ///< Movements of the clock.
  std::size_t copy_bytes;
};

/// How a member's life goes: how eager each loop is, and what ends it.
struct Life {
  Life(base::Random& random, bool last);

  enum class End {
    kPowerLost,  ///< within a call to the disk, or between two steps
    kKilled,     ///< the process ends, the machine goes on
    kStopped,    ///< as asked
  };
  End end;
  /// A call to the disk fails with EIO first; 0: none.
  std::uint64_t failing_call = 0;
  /// The call at which the power goes; 0: between two steps.
  std::uint64_t last_call = 0;
  std::uint64_t steps;

  std::uint64_t core_weight, wal_weight, commit_weight, preallocator_weight, answer_weight, request_weight, clock_weight, watch_weight;
  base::Duration longest_pause;
};

}  // namespace etcdpp::sim
