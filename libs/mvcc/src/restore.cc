#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/store.h>

#include "restore_batch.h"

namespace etcdpp::mvcc {
namespace {

struct KeyHash {
  using is_transparent = void;
  std::size_t operator()(base::BytesView key) const { return std::hash<base::BytesView>{}(key); }
};
using LeaseMap = std::unordered_map<base::Bytes, std::int64_t, KeyHash, std::equal_to<>>;

base::Result<std::int64_t> compact_mark(base::BytesView name, base::BytesView value) {
  auto mark = decode_row_key(value);
  if (!mark) return base::Error(mark.error().code, "meta/" + std::string(name) + ": " + mark.error().context);
  return mark->revision.main;
}

}  // namespace

base::Result<> Store::restore_rows(Restored& restored) {
  RestoreBatch batch(index_);
  LeaseMap leases;
  Revision last{0, -1};
  auto bad = [](base::BytesView key, const std::string& why) {
    return base::Error(Errc::kBadRow, "bucket key, row " + base::hex(key) + ": " + why);
  };
  const auto visit = [&](base::BytesView key, base::BytesView value) -> base::Result<> {
    ETCDPP_ASSIGN(const RowKey row, decode_row_key(key));
    if (!(last < row.revision)) return bad(key, "not above the row before it");
    if (row.revision.sub > UINT32_MAX) return bad(key, "a transaction of more than 2^32 changes");
    last = row.revision;
    auto kv = decode_key_value(value);
    if (!kv) return bad(key, kv.error().context);
    if (value.size() > 0x7fffffff) return bad(key, "longer than 2 GiB");
    ++restored.rows;
    if (!row.tombstone && kv->lease != 0) {
      leases.insert_or_assign(base::Bytes(kv->key), kv->lease);
    } else if (!leases.empty()) {
      if (auto at = leases.find(kv->key); at != leases.end()) leases.erase(at);
    }
    batch.add(kv->key, {.revision = row.revision,
                        .tombstone = row.tombstone,
                        .create_revision = kv->create_revision,
                        .version = kv->version,
                        .row_bytes = static_cast<std::uint32_t>(value.size())});
    return {};
  };
  ETCDPP_TRY(backend_.scan_key_rows(visit));
  batch.flush();
  revision_ = std::max<std::int64_t>(1, last.main);
  if (leases_) {
    for (const auto& [key, lease] : leases) {
      ++restored.keys_with_lease;
      if (!leases_->attach(lease, key)) ++restored.missing_leases;
    }
  }
  return {};
}

base::Result<Store::Restored> Store::restore(std::uint64_t applied_index) {
  std::int64_t scheduled = -1, finished = -1;
  ETCDPP_TRY(
      backend_.scan_bucket(backend::Bucket::kMeta, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
        if (key == kScheduledCompactRevKey) {
          ETCDPP_ASSIGN(scheduled, compact_mark(key, value));
        } else if (key == kFinishedCompactRevKey) {
          ETCDPP_ASSIGN(finished, compact_mark(key, value));
        }
        return {};
      }));
  Restored restored;
  ETCDPP_TRY(restore_rows(restored));
  revision_ = std::max({revision_, scheduled, finished});
  compact_revision_ = finished;
  compaction_.set_finished_revision(finished);
  if (scheduled > finished) {
    restored.compaction_resumed = true;
    compact_revision_ = scheduled;
    compaction_.schedule({.revision = scheduled, .previous_revision = finished, .entry_index = 0, .store_hash = false});
  }
  publish(applied_index);
  return restored;
}

}  // namespace etcdpp::mvcc
