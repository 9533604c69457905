#include <etcdpp/mvcc/store.h>

#include <algorithm>
#include <string>
#include <utility>

#include <etcdpp/mvcc/key_value.h>

namespace etcdpp::mvcc {

Store::Store(backend::Backend& backend, LeaseAttach* leases, CommitObserver* observer)
    : backend_(backend), leases_(leases), observer_(observer), compaction_(index_, views_, hashes_) {}

// Nobody reads any more. (The newest View has no garbage.)
Store::~Store() {
  views_.reclaim(index_);
}

base::Result<> Store::compact(std::int64_t revision, std::uint64_t entry_index) {
  if (revision <= compact_revision_) return base::Error(Errc::kCompacted);
  if (revision > revision_) return base::Error(Errc::kFutureRevision);
  const std::int64_t previous = std::exchange(compact_revision_, revision);
  backend_.buffer().put(backend::Bucket::kMeta, kScheduledCompactRevKey, RowKeyBytes({revision, 0}, false));
  compaction_.schedule({.revision = revision,
                        .previous_revision = previous,
                        .entry_index = entry_index,
                        .store_hash = compaction_.finished_revision() == previous});
  return {};
}

bool Store::step_compaction(std::size_t budget) {
  return compaction_.index_step(backend_.committed_index(), budget);
}

base::Result<RangeReader> Store::reader_at(std::int64_t revision) const {
  auto view = std::make_unique<View>();
  view->revision = revision;
  view->compact_revision = compact_revision_;
  view->index = index_.current();
  view->buffers = backend_.buffers();
  ETCDPP_ASSIGN(backend::ReadTransaction transaction, view->buffers.database->begin_read());
  return RangeReader(std::move(view), std::move(transaction));
}

base::Result<std::int64_t> Store::resolve(std::int64_t requested) const {
  if (requested > revision_) return base::Error(Errc::kFutureRevision);
  if (requested <= 0) return revision_;
  if (requested < compact_revision_) return base::Error(Errc::kCompacted);
  return requested;
}

void Store::publish(std::uint64_t applied_index) {
  auto published = index_.publish();
  View view;
  view.revision = revision_;
  view.applied_index = applied_index;
  view.compact_revision = compact_revision_;
  view.index = published.root;
  view.buffers = backend_.buffers();
  views_.publish(std::move(view), std::move(published.garbage));
  if (compaction_.published()) backend_.commit_loop().wake();
  views_.reclaim(index_);
}

}  // namespace etcdpp::mvcc
