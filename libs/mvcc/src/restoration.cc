#include <etcdpp/mvcc/restoration.h>

#include <algorithm>
#include <string>
#include <utility>

#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/store.h>

#include "restore_batch.h"

namespace etcdpp::mvcc {
namespace {

base::Result<std::int64_t> compact_mark(base::BytesView name, base::BytesView value) {
  auto mark = decode_row_key(value);
  if (!mark) return base::Error(mark.error().code, "meta/" + std::string(name) + ": " + mark.error().context);
  return mark->revision.main;
}

base::Error bad_row(base::BytesView key, const std::string& why) {
  return base::Error(Errc::kBadRow, "bucket key, row " + base::hex(key) + ": " + why);
}

}  // namespace

Restoration::Restoration(std::unique_ptr<base::Worker> worker) : worker_(std::move(worker)) {
  for (auto& batch : batches_) batch = std::make_unique<RestoreBatch>();
}

Restoration::~Restoration() = default;

base::Result<> Restoration::add(base::BytesView row_key, base::BytesView value) {
  ETCDPP_ASSIGN(const RowKey row, decode_row_key(row_key));
  if (!(last_ < row.revision)) return bad_row(row_key, "not above the row before it");
  if (row.revision.sub > UINT32_MAX) return bad_row(row_key, "a transaction of more than 2^32 changes");
  last_ = row.revision;
  auto kv = decode_key_value(value);
  if (!kv) return bad_row(row_key, kv.error().context);
  if (value.size() > 0x7fffffff) return bad_row(row_key, "longer than 2 GiB");
  ++rows_;
  if (!row.tombstone && kv->lease != 0) {
    leases_.insert_or_assign(base::Bytes(kv->key), kv->lease);
  } else if (!leases_.empty()) {
    if (auto at = leases_.find(kv->key); at != leases_.end()) leases_.erase(at);
  }
  RestoreBatch& batch = *batches_[filling_];
  batch.add(kv->key, {.revision = row.revision,
                      .create_revision = kv->create_revision,
                      .version = kv->version,
                      .row_bytes = static_cast<std::uint32_t>(value.size()),
                      .tombstone = row.tombstone});
  if (batch.full()) hand_over();
  return {};
}

void Restoration::hand_over() {
  RestoreBatch& batch = *batches_[filling_];
  if (!worker_) return batch.enter(index_);
  // Waits for the other batch, which is filled next.
  worker_->start([this, &batch] { batch.enter(index_); });
  filling_ = 1 - filling_;
}

void Restoration::end() { hand_over(); }

TreeIndex Restoration::take_index() {
  worker_.reset();
  for (auto& batch : batches_) batch.reset();
  return std::move(index_);
}

base::Result<Store::Restored> Store::restore(std::uint64_t applied_index) {
  Restoration rows;
  ETCDPP_TRY(backend_.scan_key_rows([&](base::BytesView key, base::BytesView value) { return rows.add(key, value); }));
  rows.end();
  return restore(applied_index, std::move(rows));
}

base::Result<Store::Restored> Store::restore(std::uint64_t applied_index, Restoration&& rows) {
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
  restored.rows = rows.rows_;
  if (leases_) {
    for (const auto& [key, lease] : rows.leases_) {
      ++restored.keys_with_lease;
      if (!leases_->attach(lease, key)) ++restored.missing_leases;
    }
  }
  index_ = rows.take_index();
  revision_ = std::max({std::int64_t{1}, rows.last_.main, scheduled, finished});
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
