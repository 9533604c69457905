#include "tuning.h"

namespace etcdpp::sim {

namespace {

using std::chrono::milliseconds;

template <typename T, std::size_t n>
T one_of(base::Random& random, const T (&choices)[n]) {
  return choices[random.below(n)];
}

}  // namespace

Tuning::Tuning(base::Random& random)
    : clients(1 + random.below(12)),
      requests(60 + random.below(240)),
      lives(2 + random.below(4)),
      keys(one_of<std::uint64_t>(random, {3, 10, 40, 200})),
      largest_value(one_of<std::uint64_t>(random, {20, 600, 3'000, 20'000})),
      leases(1 + random.below(6)),
      compactions_per_hundred(random.below(8)),
      watch_streams(1 + random.below(4)),
      watch_batch(one_of<std::uint64_t>(random, {1, 3, 20, 1'000})),
      event_log_bytes(one_of<std::uint64_t>(random, {0, 2'000, 20'000, 1'000'000})),
      snapshot_count(one_of<std::uint64_t>(random, {5, 20, 60, 10'000})),
      snapshot_catchup_entries(one_of<std::uint64_t>(random, {1, 10, 5'000})),
      segment_size(one_of<std::uint64_t>(random, {2'000, 10'000, 60'000, 1'000'000})),
      batch_interval(milliseconds(one_of<int>(random, {1, 20, 100}))),
      batch_limit(one_of<std::int64_t>(random, {1, 10, 10'000})),
      compaction_batch_limit(one_of<std::int64_t>(random, {1, 7, 1'000})),
      defragment_one_in(one_of<std::uint64_t>(random, {5, 30, 300})),
      copy_bytes(one_of<std::size_t>(random, {500, 5'000, 100'000})) {}

Life::Life(base::Random& random, bool last) {
  end = last ? End::kStopped : one_of(random, {End::kPowerLost, End::kPowerLost, End::kPowerLost, End::kKilled, End::kStopped});
  if (!last && random.one_in(4)) failing_call = 1 + random.below(random.one_in(2) ? 60 : 400);
  if (end == End::kPowerLost && !random.one_in(3)) last_call = 1 + random.below(random.one_in(3) ? 40 : 500);
  // The last one goes on until everybody has asked for everything.
  steps = last ? UINT64_MAX : 200 + random.below(3'000);
  const auto weight = [&] { return one_of<std::uint64_t>(random, {1, 5, 20, 20, 60}); };
  core_weight = weight();
  wal_weight = weight();
  commit_weight = one_of<std::uint64_t>(random, {1, 2, 10, 40});
  preallocator_weight = one_of<std::uint64_t>(random, {0, 1, 5});
  answer_weight = weight();
  request_weight = weight();
  clock_weight = one_of<std::uint64_t>(random, {1, 5, 20});
  watch_weight = weight();
  longest_pause = milliseconds(one_of<int>(random, {1, 10, 60, 800}));
}

}  // namespace etcdpp::sim
