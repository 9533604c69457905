#pragma once

#include <map>
#include <string>
#include <vector>

#include <etcdpp/base/result.h>
#include <etcdpp/raft/types.h>

#include "model.h"

namespace etcdpp::sim {

/// What a log means by the model: the state behind its last entry, and the outcome of every request in it by its id.
struct Replay {
  /// Entries up to `last`; an error names the entry that cannot be read.
  static base::Result<Replay> of(const std::vector<raft::Entry>& entries, std::uint64_t last, std::int64_t min_ttl_seconds);

  Model model;
  std::map<std::uint64_t, Model::Outcome> outcomes;
  /// Ids that stand in the log more than once.
  std::vector<std::uint64_t> repeated;
};

}  // namespace etcdpp::sim
