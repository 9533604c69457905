#include <fmt/format.h>

#include <map>
#include <utility>

#include "checkers.h"

namespace etcdpp::sim {

void check_hashes(const Replay& replay, const History& history, const Report& report) {
  std::map<std::pair<std::int64_t, std::int64_t>, std::uint32_t> known;
  for (const Hash& hash : history.hashes) {
    // etcd's rule: while no key lives, rows that a compaction has yet to delete count.
    if (replay.model.range("", std::string_view("\0", 1), hash.revision).empty()) continue;
    const auto [first, added] = known.emplace(std::pair(hash.revision, hash.compact_revision), hash.hash);
    if (!added && first->second != hash.hash)
      report(fmt::format("hashes: revision {} behind {} hashed to {:08x} and to {:08x}", hash.revision, hash.compact_revision,
                         first->second, hash.hash));
  }
}

}  // namespace etcdpp::sim
