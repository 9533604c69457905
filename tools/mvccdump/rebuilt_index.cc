#include "rebuilt_index.h"

#include <algorithm>

#include <etcdpp/mvcc/compaction.h>
#include <etcdpp/mvcc/key_value.h>

namespace etcdpp::mvccdump {

base::Result<RebuiltIndex> rebuild_index(backend::DatabaseFile& database) {
  using backend::DatabaseFile;
  RebuiltIndex out;
  ETCDPP_TRY(database.scan_bucket(backend::Bucket::kMeta, [&](const DatabaseFile::FileRow& row) -> base::Result<> {
    const auto mark = mvcc::decode_row_key(row.value);
    if (!mark) return {};
    if (row.key == mvcc::kScheduledCompactRevKey) out.scheduled_compact_revision = mark->revision.main;
    if (row.key == mvcc::kFinishedCompactRevKey) out.finished_compact_revision = mark->revision.main;
    return {};
  }));
  // A member that starts takes an interrupted compaction up again, so the scheduled one is in force.
  out.compact_revision = std::max(out.scheduled_compact_revision, out.finished_compact_revision);
  ETCDPP_TRY(database.scan_bucket(backend::Bucket::kKey, [&](const DatabaseFile::FileRow& row) -> base::Result<> {
    const auto at = mvcc::decode_row_key(row.key);
    const auto kv = mvcc::decode_key_value(row.value);
    if (!row.intact) ++out.findings.bad_checksums;
    if (!at || !kv) ++out.findings.undecodable;
    if (!row.intact || !at || !kv) return {};
    out.keys.emplace(kv->key);
    out.index.restore(kv->key, {.revision = at->revision,
                                .tombstone = at->tombstone,
                                .create_revision = kv->create_revision,
                                .version = kv->version,
                                .row_bytes = static_cast<std::uint32_t>(row.value.size())});
    out.revision = at->revision.main;
    return {};
  }));
  out.revision = std::max(out.revision, out.compact_revision);
  return out;
}

}  // namespace etcdpp::mvccdump
