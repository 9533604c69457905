#include <fmt/format.h>

#include "checkers.h"

namespace etcdpp::sim {

namespace {

void check_hash(const Model& model, std::string_view what, const Hash& hash, const Report& report) {
  const auto wanted = model.hash(hash.compact_revision, hash.revision);
  // etcd's rule: while no key lives, rows that a compaction has yet to delete count.
  if (!wanted || *wanted == hash.hash) return;
  report(fmt::format("hashes: {} of revision {} behind {} is {:08x}, the model's is {:08x}", what, hash.revision, hash.compact_revision,
                     hash.hash, *wanted));
}

}  // namespace

void check_hashes(server::Member& member, const Replay& replay, const History& history, const Report& report) {
  for (const Hash& hash : history.hashes) check_hash(replay.model, "HashKV", hash, report);
  for (const mvcc::KeyValueHash& stored : member.compaction_hashes().all())
    check_hash(replay.model, "the stored compaction hash", {stored.revision, stored.compact_revision, stored.hash}, report);
}

}  // namespace etcdpp::sim
