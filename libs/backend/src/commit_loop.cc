#include <etcdpp/backend/commit_loop.h>

#include <algorithm>
#include <utility>

#include <etcdpp/backend/backend.h>

#include "defragmentation.h"
#include "deletion_slice.h"
#include "preallocation.h"
#include "row_parts.h"
#include "write_transaction.h"

namespace etcdpp::backend {

namespace {

constexpr base::Duration kRetryPause = std::chrono::seconds(1);
// How often it is looked whether a replaced generation has lost its last reader.
constexpr base::Duration kRetiredPause = std::chrono::milliseconds(100);
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
  for (std::size_t i = 0; i < buffer.rows(); ++i) {
    const Row row = buffer.row(i);
    ETCDPP_TRY(transaction.append_row(row.key, row.value, WriteTransaction::Trailer::kBehind));
  }
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
  auto worked = commit_step();
  if (worked) {
    const bool committed = *worked;
    worked = copy_step();
    if (worked) *worked |= committed || answered;
  }
  if (!worked) {
    copy_.reset();
    backend_.fail_requests(worked.error());
    return worked;
  }
  give_back_retired();
  return worked;
}

base::Result<bool> CommitLoop::commit_step() {
  const base::Instant now = clock_.now();
  if (retry_at_ && now < *retry_at_) return false;
  retry_at_.reset();
  if (deletions_at_ && now >= *deletions_at_) deletions_at_.reset();

  const std::shared_ptr<const WriteBuffer> buffer = backend_.next_frozen();
  const bool pending = deletions_ && deletions_->pending(backend_.committed_index());
  if (deletions_ && !pending && std::exchange(shrink_after_deletions_, false) && backend_.worth_shrinking()) backend_.shrink();
  const bool deletions = pending && !deletions_at_;
  if (!buffer && !deletions) return false;

  auto outcome = write(buffer.get(), deletions);
  if (!outcome && outcome.error().code == Errc::kNoSpace && copy_) {
    // The copy of a defragmentation goes first.
    end_copy(outcome.error());
    outcome = write(buffer.get(), deletions);
  }
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
  ETCDPP_TRY(outcome);
  if (listener_.on_commit) listener_.on_commit(*outcome);
  backend_.answer_requests();
  return true;
}

base::Result<Commit> CommitLoop::write(const WriteBuffer* buffer, bool with_deletions) {
  const base::Instant begun = clock_.now();
  const std::shared_ptr<const Database> database = backend_.database();
  const std::uint64_t growth = buffer ? most_written(buffer->bytes()) + kTransactionSlack + kDeletionSlack : kDeletionSlack;
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
    const Options& options = backend_.options();
    ETCDPP_ASSIGN(const ReadTransaction committed, database->begin_read());
    DeletionSlice slice(transaction, committed, clock_, options.deletion_rows, clock_.now() + options.deletion_time);
    done = deletions_->delete_some(slice);
    if (done) done = slice.carry_out();
    if (done) done = transaction.commit();
    if (done) {
      commit.deleted_rows = slice.marked().size();
      if (copy_) copy_->deleted(slice.marked());
      deletions_->deletions_committed();
      deletions_at_ = clock_.now() + backend_.options().deletion_pause;
      shrink_after_deletions_ = true;
    } else {
      deletions_->deletions_aborted();
    }
  } else {
    done = transaction.commit();
  }
  ETCDPP_TRY(done);
  if (copy_ && buffer) copy_->grown(buffer->bytes());
  commit.duration = clock_.now() - begun;
  backend_.committed(commit, buffer != nullptr, transaction.live_bytes());
  return commit;
}

base::Result<> CommitLoop::reserve(const Environment& environment, std::uint64_t growth) {
  Preallocation& blocks = *backend_.preallocation_;
  const std::uint64_t wanted = environment.allocated_bytes() + growth;
  if (blocks.covers(wanted)) return {};
  // What compaction has left inside the file is written first. Not all of it can be: the newest part, and what readers
  // still see, LMDB leaves alone.
  ETCDPP_ASSIGN(const std::uint64_t inside, environment.free_bytes());
  if (inside >= 2 * growth) return {};
  auto reserved = blocks.reserve(wanted);
  if (reserved || reserved.error().code != Errc::kNoSpace || inside < growth) return reserved;
  return {};
}

void CommitLoop::end_copy(base::Error why) {
  copy_.reset();
  copy_at_.reset();
  backend_.options().logger->warn("defragmentation given up", {{"error", why.message()}});
  backend_.defragment_over(std::move(why));
}

void CommitLoop::give_back_retired() {
  const base::Instant now = clock_.now();
  if (look_at_retired_ && now < *look_at_retired_) return;
  look_at_retired_.reset();
  switch (backend_.give_back_retired()) {
    case Backend::Retired::kNone: return;
    case Backend::Retired::kRead: look_at_retired_ = now + kRetiredPause; return;
    case Backend::Retired::kGoing: look_at_retired_ = clock_.now() + copy_pause(); return;
  }
}

base::Duration CommitLoop::copy_pause() const { return pace_.log_is_slow && pace_.log_is_slow() ? pace_.longest_pause : pace_.pause; }

// What goes wrong with the copy is told to who asked for it; only the database itself stops the member.
base::Result<bool> CommitLoop::copy_step() {
  const Options& options = backend_.options();
  const Backend::Wanted wanted = backend_.wanted();
  if (wanted == Backend::Wanted::kNothing) return false;
  if (wanted == Backend::Wanted::kCancel) {
    end_copy(base::Error(Errc::kCancelled));
    return true;
  }
  const base::Instant now = clock_.now();
  if (copy_at_ && now < *copy_at_) return false;
  const std::shared_ptr<const Database> database = backend_.database();
  if (!copy_) {
    options.logger->info("starting defragment", {{"path", database->path()}, {"current-db-size-bytes", backend_.sizes().allocated},
                                                 {"current-db-size-in-use-bytes", backend_.sizes().live}});
    auto begun = Defragmentation::begin(options, *database);
    if (!begun) {
      end_copy(std::move(begun.error()));
      return true;
    }
    copy_ = std::move(*begun);
  }
  auto complete = copy_->step(*database, pace_.slice_bytes);
  if (!complete) {
    // A damaged row of the database itself.
    if (complete.error().code == Errc::kCorrupt) return base::Error(std::move(complete.error()));
    end_copy(std::move(complete.error()));
    return true;
  }
  backend_.copied_bytes_.store(copy_->live_bytes(), std::memory_order_relaxed);
  if (!*complete) {
    copy_at_ = clock_.now() + copy_pause();
    return true;
  }
  if (auto renamed = copy_->rename(); !renamed) {
    end_copy(std::move(renamed.error()));
    return true;
  }
  ETCDPP_TRY(switch_generation());
  return true;
}

// From the rename on there is no way back: what is committed now goes into the new file.
base::Result<> CommitLoop::switch_generation() {
  ETCDPP_TRY(copy_->sync_name());
  const Defragmented outcome = backend_.next_generation(*copy_);
  copy_.reset();
  copy_at_.reset();
  backend_.options().logger->info("finished defragmenting", {{"generation", outcome.generation},
                                                             {"rows", outcome.rows},
                                                             {"current-db-size-bytes-before", outcome.allocated_before},
                                                             {"current-db-size-bytes", outcome.allocated_after}});
  if (listener_.on_generation) listener_.on_generation(outcome.generation);
  backend_.defragment_over(outcome);
  return {};
}

std::optional<base::Instant> CommitLoop::next_due() const {
  std::optional<base::Instant> due;
  for (const auto& at : {retry_at_ ? retry_at_ : deletions_at_, copy_at_, look_at_retired_})
    if (at && (!due || *at < *due)) due = at;
  return due;
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
