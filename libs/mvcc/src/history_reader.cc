#include <etcdpp/mvcc/history_reader.h>

#include <algorithm>
#include <string>

#include <etcdpp/backend/buffer_set.h>
#include <etcdpp/mvcc/errc.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/revision.h>

#include "row_sequence.h"

namespace etcdpp::mvcc {

base::Result<History> read_history(const Views& views, std::int64_t from, const HistoryLimits& limits) {
  // The View first, then the snapshot, then the compact revision once more: see RangeReader::open.
  const ViewRef view = views.current();
  ETCDPP_ASSIGN(const backend::ReadTransaction transaction, view->buffers.database->begin_read());
  const std::int64_t compact_revision = std::max(view->compact_revision, views.compact_revision());
  History history;
  history.current_revision = view->revision;
  if (from < compact_revision) {
    return base::Error(Errc::kCompacted, "revision " + std::to_string(from) + " is below " + std::to_string(compact_revision));
  }
  if (from > view->revision) {
    history.covered_to = view->revision;
    return history;
  }

  RevisionEventsBuilder building;
  std::int64_t main = 0;
  std::size_t bytes = 0;
  const auto end_revision = [&] {
    if (building.empty()) return;
    bytes += building.bytes();
    if (RevisionEvents events = building.take(main)) history.revisions.push_back(std::move(events));
    history.covered_to = main;
  };
  base::Bytes again;
  backend::RowScan scan(view->buffers, transaction);
  auto there = scan.seek(RowKeyBytes({from, 0}, false));
  RowSequence sequence(from, compact_revision);
  for (; there && *there; there = scan.next()) {
    ETCDPP_ASSIGN(const RowKey row, decode_row_key(scan.key()));
    if (row.revision.main <= view->revision) ETCDPP_TRY(sequence.met(row.revision));
    if (row.revision.main != main) {
      end_revision();
      if (row.revision.main > view->revision) break;
      if (history.revisions.size() >= limits.revisions || bytes >= limits.bytes) return history;
      main = row.revision.main;
    }
    auto kv = decode_key_value(scan.value());
    if (!kv) return base::Error(kv.error().code, "bucket key, row " + base::hex(scan.key()) + ": " + kv.error().context);
    if (row.tombstone) {
      // The row holds the key alone; the event says when it went.
      again.clear();
      append_encoded({.key = kv->key, .mod_revision = row.revision.main, .value = {}}, again);
      building.add(kv->key, again, true, false);
    } else {
      base::BytesView encoded = scan.value();
      // Rows that this store wrote begin with the key; one that came from elsewhere may not.
      if (kv->key.data() != encoded.data() + 1 + varint_size(kv->key.size())) {
        again.clear();
        append_encoded(*kv, again);
        encoded = again;
      }
      building.add(kv->key, encoded, false, kv->create_revision == row.revision.main);
    }
  }
  if (!there) return base::Error(there.error());
  ETCDPP_TRY(sequence.ended(view->revision));
  end_revision();
  history.covered_to = view->revision;
  return history;
}

}  // namespace etcdpp::mvcc
