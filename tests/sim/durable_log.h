#pragma once

#include <string>
#include <vector>

#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>
#include <etcdpp/raft/types.h>

namespace etcdpp::sim {

/// The member's log as it stands on disk, kept on when the member drops old segments: entry i at [i - 1].
class DurableLog {
 public:
  /// Reads what the directory holds now. Between two restarts more may be there than will stay.
  base::Result<> read(base::Env& env, const std::string& directory);
  const std::vector<raft::Entry>& entries() const { return entries_; }
  /// The first index of the last read() whose entry differed from the earlier read, or 0.
  std::uint64_t changed_at() const { return changed_at_; }

 private:
  std::vector<raft::Entry> entries_;
  std::uint64_t changed_at_ = 0;
};

}  // namespace etcdpp::sim
