#include <etcdpp/mvcc/compaction.h>

#include <algorithm>
#include <utility>

#include <etcdpp/mvcc/errc.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/revision.h>

namespace etcdpp::mvcc {

void Compaction::schedule(const Job& job) {
  std::lock_guard lock(mutex_);
  jobs_.push_back(job);
  ++scheduled_jobs_;
  if (phase_ == Phase::kNone) phase_ = Phase::kIndex;
}

bool Compaction::index_step(std::uint64_t committed_index, std::size_t budget) {
  std::int64_t revision;
  {
    std::lock_guard lock(mutex_);
    if (phase_ != Phase::kIndex) return false;
    const Job& job = jobs_.front();
    if (committed_index < job.entry_index) return false;
    revision = job.revision;
  }
  if (views_.compact_revision() < revision || views_.pins().lowest() < revision) return false;
  if (!index_.compact(revision, resume_key_, budget)) return true;
  std::lock_guard lock(mutex_);
  phase_ = Phase::kIndexDone;
  return true;
}

bool Compaction::published() {
  std::lock_guard lock(mutex_);
  if (phase_ != Phase::kIndexDone) return false;
  phase_ = Phase::kRows;
  return true;
}

bool Compaction::idle() const {
  std::lock_guard lock(mutex_);
  return jobs_.empty();
}

void Compaction::when_idle(std::function<void()> done) {
  {
    std::lock_guard lock(mutex_);
    if (!jobs_.empty()) {
      waiters_.push_back({scheduled_jobs_, std::move(done)});
      return;
    }
  }
  done();
}

std::int64_t Compaction::finished_revision() const {
  std::lock_guard lock(mutex_);
  return finished_revision_;
}

void Compaction::set_finished_revision(std::int64_t revision) {
  std::lock_guard lock(mutex_);
  finished_revision_ = revision;
}

bool Compaction::pending(std::uint64_t) {
  std::lock_guard lock(mutex_);
  return phase_ == Phase::kRows;
}

base::Result<> Compaction::delete_some(backend::DeletionBatch& batch) {
  std::int64_t revision, previous;
  {
    std::lock_guard lock(mutex_);
    revision = jobs_.front().revision;
    previous = jobs_.front().previous_revision;
  }
  // Any View since the index pass was published will do: what it keeps of rows ≤ revision is exactly the keep set.
  const ViewRef view = views_.current();
  const auto keep = IndexRoot::Tombstones::kKeep;
  if (!pass_.hash) {
    pass_.hash.emplace(previous, revision, !view->index.keeps_any(revision, keep));
    pass_.next_row.assign(RowKeyBytes({0, 0}, false).view());
  }
  ETCDPP_ASSIGN(bool there, batch.seek(pass_.next_row));
  while (there) {
    ETCDPP_ASSIGN(const RowKey row, decode_row_key(batch.key()));
    if (row.revision.main > revision) break;
    auto kv = decode_key_value(batch.value());
    if (!kv) return base::Error(kv.error().code, "row " + base::hex(batch.key()) + ": " + kv.error().context);
    const bool kept = view->index.keeps(kv->key, row.revision, revision, keep);
    if (pass_.hash->counts(row, [&] { return kept; })) pass_.hash->add(batch.key(), batch.value());
    if (!kept) batch.erase();
    pass_.next_row.assign(batch.key());
    pass_.next_row.push_back('\0');
    if (batch.exhausted()) return {};
    ETCDPP_ASSIGN(there, batch.next());
  }
  batch.put(backend::Bucket::kMeta, kFinishedCompactRevKey, RowKeyBytes({revision, 0}, false));
  pass_.complete = true;
  return {};
}

void Compaction::deletions_committed() {
  committed_pass_ = pass_;
  if (!pass_.complete) return;
  const KeyValueHash hash = pass_.hash->result();
  pass_ = {};
  committed_pass_ = {};
  std::vector<std::function<void()>> over;
  {
    std::lock_guard lock(mutex_);
    if (jobs_.front().store_hash) hashes_.store(hash);
    finished_revision_ = jobs_.front().revision;
    jobs_.pop_front();
    ++finished_jobs_;
    phase_ = jobs_.empty() ? Phase::kNone : Phase::kIndex;
    auto waiting = std::stable_partition(waiters_.begin(), waiters_.end(), [&](const Waiter& w) { return w.after > finished_jobs_; });
    for (auto at = waiting; at != waiters_.end(); ++at) over.push_back(std::move(at->done));
    waiters_.erase(waiting, waiters_.end());
  }
  for (auto& done : over) done();
}

void Compaction::deletions_aborted() { pass_ = committed_pass_; }

}  // namespace etcdpp::mvcc
