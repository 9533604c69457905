#include <etcdpp/mvcc/hash_kv.h>

#include <algorithm>

#include <etcdpp/backend/buffer_set.h>
#include <etcdpp/base/crc32c.h>
#include <etcdpp/mvcc/errc.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/range_reader.h>

#include "row_sequence.h"

namespace etcdpp::mvcc {

RowHash::RowHash(std::int64_t compact_revision, std::int64_t revision, bool keep_set_empty)
    : compact_revision_(compact_revision), revision_(revision), keep_set_empty_(keep_set_empty), crc_(base::crc32c(0, "key")) {}

void RowHash::add(base::BytesView row_key, base::BytesView value) {
  crc_ = base::crc32c(base::crc32c(crc_, row_key), value);
}

void CompactionHashes::store(const KeyValueHash& hash) {
  std::lock_guard lock(mutex_);
  auto at = std::lower_bound(hashes_.begin(), hashes_.end(), hash.revision, [](const KeyValueHash& h, std::int64_t r) { return h.revision < r; });
  hashes_.insert(at, hash);
  if (hashes_.size() > kKept) hashes_.erase(hashes_.begin());
}

std::optional<KeyValueHash> CompactionHashes::at(std::int64_t revision) const {
  std::lock_guard lock(mutex_);
  for (const auto& hash : hashes_)
    if (hash.revision == revision) return hash;
  return std::nullopt;
}

std::vector<KeyValueHash> CompactionHashes::all() const {
  std::lock_guard lock(mutex_);
  return hashes_;
}

HashKv::HashKv(const Views& views, const CompactionHashes& stored, std::int64_t revision)
    : views_(views), stored_(stored), requested_(revision) {}
HashKv::HashKv(HashKv&&) noexcept = default;
HashKv::~HashKv() = default;

base::Result<bool> HashKv::start() {
  if (const auto stored = stored_.at(requested_)) {
    result_ = *stored;
    current_revision_ = views_.revision();
    return true;
  }
  // Pinned at the compact revision, not at R: rule 2 makes the hash independent of how far the job of that compaction
  // has come, but a later job would take rows away that this hash still counts.
  ViewRef view;
  for (;;) {
    view = views_.current();
    compact_revision_ = view->compact_revision;
    pin_ = views_.pins().pin(compact_revision_);
    if (views_.compact_revision() == compact_revision_) break;
    pin_.release();
  }
  current_revision_ = view->revision;
  if (requested_ > current_revision_ || (requested_ > 0 && requested_ < compact_revision_)) {
    pin_.release();
    return base::Error(requested_ > current_revision_ ? Errc::kFutureRevision : Errc::kCompacted);
  }
  revision_ = requested_ == 0 ? current_revision_ : requested_;
  hash_.emplace(compact_revision_, revision_, !view->index.keeps_any(revision_, IndexRoot::Tombstones::kLeaveOut));
  sequence_ = std::make_unique<RowSequence>(0, compact_revision_);
  next_row_.assign(RowKeyBytes({0, 0}, false).view());
  return false;
}

base::Result<bool> HashKv::step(std::size_t budget) {
  ETCDPP_ASSIGN(const RangeReader reader, RangeReader::open(views_));
  backend::RowScan scan(reader.view().buffers, reader.transaction());
  const IndexRoot& index = reader.view().index;
  ETCDPP_ASSIGN(bool there, scan.seek(next_row_));
  for (std::size_t n = 0; there && n < budget; ++n) {
    ETCDPP_ASSIGN(const RowKey row, decode_row_key(scan.key()));
    if (row.revision.main > revision_) {
      there = false;
      break;
    }
    ETCDPP_TRY(sequence_->met(row.revision));
    bool bad = false;
    const bool counts = hash_->counts(row, [&] {
      const auto kv = decode_key_value(scan.value());
      bad = !kv;
      return kv && index.keeps(kv->key, row.revision, revision_, IndexRoot::Tombstones::kLeaveOut);
    });
    if (bad) return base::Error(Errc::kBadRow, "revision " + base::hex(scan.key()));
    if (counts) hash_->add(scan.key(), scan.value());
    next_row_.assign(scan.key());
    next_row_.push_back('\0');
    ETCDPP_ASSIGN(there, scan.next());
  }
  if (there) return false;
  ETCDPP_TRY(sequence_->ended(revision_));
  pin_.release();
  result_ = hash_->result();
  return true;
}

base::Result<KeyValueHash> HashKv::run() {
  ETCDPP_ASSIGN(bool done, start());
  while (!done) {
    ETCDPP_ASSIGN(done, step());
  }
  return result_;
}

}  // namespace etcdpp::mvcc
