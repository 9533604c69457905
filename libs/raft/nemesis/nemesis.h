#pragma once

#include <cstdint>
#include <string>

namespace etcdpp::raft::nemesis {

/// What a run did; a nemesis that does nothing finds nothing.
struct Totals {
  std::uint64_t steps = 0;
  std::uint64_t committed = 0;
  std::uint64_t elections = 0;
  std::uint64_t crashes = 0;
  std::uint64_t conf_changes = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t reads = 0;
  std::uint64_t transfers = 0;
};

/// A cluster of up to seven nodes in one thread, in an order drawn from the seed: messages are dropped, doubled,
/// reordered and held back by partitions; nodes crash and lose what was not synced; members come and go, as learners
/// too; logs are compacted, snapshots sent; leadership is transferred, reads are asked. Raft's promises are checked after
/// every step, and at the end, with everybody up and the network whole, something new must commit everywhere.
/// Returns the first violation as a sentence, or empty. The same seed does the same, always.
std::string run(std::uint64_t seed, Totals& totals);

}  // namespace etcdpp::raft::nemesis
