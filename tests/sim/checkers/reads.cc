#include <fmt/format.h>

#include <etcdpp/mvcc/errc.h>

#include "checkers.h"

namespace etcdpp::sim {

void check_reads(const Replay& replay, const History& history, const Report& report) {
  for (std::size_t i = 0; i < history.reads.size(); ++i) {
    const Read& read = history.reads[i];
    if (read.error == make_error_code(mvcc::Errc::kCompacted)) {
      if (read.requested >= replay.model.compact_revision())
        report(fmt::format("reads: {} at {} was refused as compacted; the compaction is at {}", i, read.requested, replay.model.compact_revision()));
      continue;
    }
    if (read.error == make_error_code(mvcc::Errc::kFutureRevision)) {
      if (read.requested <= read.acknowledged_before)
        report(fmt::format("reads: {} at {} was refused as of the future; {} had been seen", i, read.requested, read.acknowledged_before));
      continue;
    }
    if (read.error) {
      report(fmt::format("reads: {} failed: {}", i, read.error.message()));
      continue;
    }
    if (read.revision < read.acknowledged_before)
      report(fmt::format("reads: {} saw revision {}; {} had been seen before", i, read.revision, read.acknowledged_before));
    etcdserverpb::RangeResponse wanted;
    const auto rows = replay.model.range(read.key, read.range_end, read.requested != 0 ? read.requested : read.revision);
    wanted.set_count(static_cast<std::int64_t>(rows.size()));
    for (const mvccpb::KeyValue& row : rows) {
      if (read.limit != 0 && wanted.kvs_size() == read.limit) {
        wanted.set_more(true);
        break;
      }
      *wanted.add_kvs() = row;
    }
    if (wanted.SerializeAsString() == read.response) continue;
    etcdserverpb::RangeResponse got;
    got.ParseFromString(read.response);
    report(fmt::format("reads: {} of {} at {} (header {}) got {} of {} keys, the model has {} of {}, or other bytes", i, read.key,
                       read.requested, read.revision, got.kvs_size(), got.count(), wanted.kvs_size(), wanted.count()));
  }
}

}  // namespace etcdpp::sim
