#include <etcdpp/backend/commit_loop.h>

#include <algorithm>

#include <etcdpp/backend/backend.h>

#include "deletion_slice.h"
#include "preallocation.h"
#include "write_transaction.h"

namespace etcdpp::backend {

namespace {

constexpr base::Duration kRetryPause = std::chrono::seconds(1);
// What a transaction may write beside its rows: copied branches and leaves, the free list. Deletions copy a leaf for
// each few rows; buffers leave them their room, so that compaction works on a full disk.
constexpr std::uint64_t kTransactionSlack = 1u << 20;
constexpr std::uint64_t kDeletionSlack = 4u << 20;

base::Bytes be64(std::uint64_t number) {
  base::Bytes out(8, '\0');
  base::put_be64(out.data(), number);
  return out;
}

// The buffer's rows and operations, then the entry that it ends with.
base::Result<> write_buffer(WriteTransaction& transaction, const WriteBuffer& buffer) {
  for (std::size_t i = 0; i < buffer.rows(); ++i)
    ETCDPP_TRY(transaction.append_row(buffer.row(i).key, buffer.stored_value(i)));
  for (const auto& [small, value] : buffer.small_operations()) {
    if (value) {
      ETCDPP_TRY(transaction.put(small.bucket, small.key, *value));
    } else {
      ETCDPP_TRY(transaction.erase(small.bucket, small.key));
    }
  }
  if (buffer.applied_index() > 0)
    ETCDPP_TRY(transaction.put(Bucket::kMeta, meta_key::kConsistentIndex, be64(buffer.applied_index())));
  if (buffer.applied_term() > 0) ETCDPP_TRY(transaction.put(Bucket::kMeta, meta_key::kTerm, be64(buffer.applied_term())));
  if (buffer.conf_state()) ETCDPP_TRY(transaction.put(Bucket::kMeta, meta_key::kConfState, *buffer.conf_state()));
  return {};
}

}  // namespace

CommitLoop::CommitLoop(Backend& backend, const base::Clock& clock) : backend_(backend), clock_(clock) {}
CommitLoop::~CommitLoop() = default;

base::Result<bool> CommitLoop::step() {
  const bool answered = backend_.answer_requests();
  const base::Instant now = clock_.now();
  if (retry_at_ && now < *retry_at_) return answered;
  retry_at_.reset();
  if (deletions_at_ && now >= *deletions_at_) deletions_at_.reset();

  const std::shared_ptr<const WriteBuffer> buffer = backend_.next_frozen();
  const bool deletions = deletions_ && !deletions_at_ && deletions_->pending(backend_.committed_index());
  if (!buffer && !deletions) return answered;

  auto outcome = write(buffer.get(), deletions);
  if (!outcome && outcome.error().code == Errc::kNoSpace) {
    if (!out_of_space_) {
      backend_.options().logger->error("database cannot grow; the commit is kept and tried again each second",
                                       {{"error", outcome.error().message()}});
      if (listener_.on_space) listener_.on_space(false);
    }
    out_of_space_ = true;
    retry_at_ = now + kRetryPause;
    // Deletions alone give back pages; and LMDB hands out what one transaction freed to the second one after it, so
    // that even an empty transaction brings the next try nearer.
    if (!buffer) return true;
    outcome = write(nullptr, deletions);
    if (!outcome && outcome.error().code == Errc::kNoSpace) return true;
  } else if (outcome && out_of_space_) {
    out_of_space_ = false;
    backend_.options().logger->info("database can grow again");
    if (listener_.on_space) listener_.on_space(true);
  }
  if (!outcome) {
    backend_.fail_requests(outcome.error());
    return base::Error(std::move(outcome.error()));
  }
  if (listener_.on_commit) listener_.on_commit(*outcome);
  backend_.answer_requests();
  return true;
}

base::Result<Commit> CommitLoop::write(const WriteBuffer* buffer, bool with_deletions) {
  const base::Instant begun = clock_.now();
  const std::shared_ptr<const Database> database = backend_.database();
  // Rows above half a page stand on pages of their own, so up to twice their bytes are written.
  const std::uint64_t growth = buffer ? 2 * buffer->bytes() + kTransactionSlack + kDeletionSlack : kDeletionSlack;
  ETCDPP_TRY(reserve(database->environment(), growth));
  ETCDPP_ASSIGN(WriteTransaction transaction, WriteTransaction::begin(database->environment()));

  Commit commit{.consistent_index = backend_.last_commit_.consistent_index, .term = backend_.last_commit_.term};
  if (buffer) {
    ETCDPP_TRY(write_buffer(transaction, *buffer));
    commit.rows = buffer->rows();
    commit.consistent_index = std::max(commit.consistent_index, buffer->applied_index());
    if (buffer->applied_term() > 0) commit.term = buffer->applied_term();
  }
  base::Result<> done;
  if (with_deletions) {
    // The slice's time is its own: a large buffer before it takes nothing from it.
    auto deleted = delete_slice(transaction);
    if (deleted) {
      commit.deleted_rows = *deleted;
      done = transaction.commit();
    } else {
      done = base::Error(std::move(deleted.error()));
    }
    if (done) {
      deletions_->deletions_committed();
      deletions_at_ = clock_.now() + backend_.options().deletion_pause;
    } else {
      deletions_->deletions_aborted();
    }
  } else {
    done = transaction.commit();
  }
  ETCDPP_TRY(done);
  commit.duration = clock_.now() - begun;
  backend_.committed(commit, buffer != nullptr, transaction.live_bytes());
  return commit;
}

base::Result<> CommitLoop::reserve(const Environment& environment, std::uint64_t growth) {
  auto reserved = backend_.preallocation_->reserve(environment.allocated_bytes() + growth);
  if (reserved || reserved.error().code != Errc::kNoSpace) return reserved;
  // The disk is full, but the file may have room inside.
  ETCDPP_ASSIGN(const std::uint64_t inside, environment.free_bytes());
  if (inside >= growth) return {};
  return reserved;
}

base::Result<std::size_t> CommitLoop::delete_slice(WriteTransaction& transaction) {
  const Options& options = backend_.options();
  DeletionSlice slice(transaction, clock_, options.deletion_rows, clock_.now() + options.deletion_time);
  ETCDPP_TRY(deletions_->delete_some(slice));
  return slice.carry_out();
}

std::optional<base::Instant> CommitLoop::next_due() const {
  return retry_at_ ? retry_at_ : deletions_at_;
}

base::Result<> CommitLoop::run() {
  for (;;) {
    ETCDPP_ASSIGN(const bool worked, step());
    if (worked) continue;
    const auto due = next_due();
    std::unique_lock lock(mutex_);
    if (stopping_) return {};
    const auto something = [&] { return woken_ || stopping_; };
    if (due) {
      ready_.wait_until(lock, *due, something);
    } else {
      ready_.wait(lock, something);
    }
    woken_ = false;
  }
}

void CommitLoop::wake() {
  {
    std::lock_guard lock(mutex_);
    woken_ = true;
  }
  ready_.notify_one();
}

void CommitLoop::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
}

}  // namespace etcdpp::backend
