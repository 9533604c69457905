#include <etcdpp/backend/backend.h>

#include <algorithm>

#include <etcdpp/base/assert.h>

#include "defragmentation.h"
#include "environment.h"
#include "open_database.h"
#include "retired_generation.h"

namespace etcdpp::backend {

Backend::Backend(const Options& options, std::shared_ptr<Database> database,
                 std::unique_ptr<Preallocation> preallocation, OpenedState opened)
    : options_(options),
      opened_(std::move(opened)),
      active_(std::make_shared<WriteBuffer>()),
      database_(std::move(database)),
      preallocation_(std::move(preallocation)),
      commit_loop_(*this, *options.clock) {
  last_commit_.consistent_index = opened_.consistent_index;
  last_commit_.term = opened_.term;
  committed_index_.store(opened_.consistent_index, std::memory_order_relaxed);
}

Backend::~Backend() = default;

base::Result<std::unique_ptr<Backend>> Backend::open(const Options& options, const RowVisitor& on_row) {
  ETCDPP_ASSERT(options.env && options.clock && options.logger, "a backend needs an environment, a clock and a logger");
  ETCDPP_ASSIGN(OpenedDatabase opened, open_database(options, on_row));
  std::unique_ptr<Backend> backend(
      new Backend(options, std::move(opened.database), std::move(opened.preallocation), std::move(opened.state)));
  backend->live_bytes_.store(opened.live_bytes, std::memory_order_relaxed);
  backend->allocated_bytes_.store(backend->database_->environment().allocated_bytes(), std::memory_order_relaxed);
  return backend;
}

base::Result<> Backend::scan_key_rows(const RowVisitor& visit) const {
  const auto here = database();
  ETCDPP_ASSIGN(const ReadTransaction transaction, here->begin_read());
  return transaction.scan_rows({}, {}, visit);
}

base::Result<> Backend::scan_bucket(Bucket bucket, const RowVisitor& visit) const {
  const auto here = database();
  ETCDPP_ASSIGN(const ReadTransaction transaction, here->begin_read());
  return transaction.scan_bucket(bucket, visit);
}

bool Backend::full() const {
  return active_->records() >= options_.batch_limit || active_->bytes() >= options_.batch_bytes;
}

bool Backend::freeze_if_due(base::Instant now) {
  if (active_->empty()) return false;
  active_live_bytes_.store(active_->live_bytes(), std::memory_order_relaxed);
  if (!due_at_) due_at_ = now + options_.batch_interval;
  if (!freeze_requested_ && now < *due_at_ && !full()) return false;
  return freeze();
}

bool Backend::freeze() {
  if (active_->empty()) return false;
  const std::uint64_t live = active_->live_bytes();
  {
    std::lock_guard lock(mutex_);
    if (frozen_.size() >= kMaxFrozenBuffers) return false;
    frozen_.push_back({std::exchange(active_, std::make_shared<WriteBuffer>()), active_sequence_});
    ++active_sequence_;
  }
  freeze_requested_ = false;
  due_at_.reset();
  frozen_live_bytes_.fetch_add(live, std::memory_order_relaxed);
  active_live_bytes_.store(0, std::memory_order_relaxed);
  commit_loop_.wake();
  return true;
}

bool Backend::saturated() const {
  if (!full()) return false;
  std::lock_guard lock(mutex_);
  return frozen_.size() >= kMaxFrozenBuffers;
}

BufferSet Backend::buffers() const {
  BufferSet set;
  set.active = active_;
  set.active_rows = active_->rows();
  std::lock_guard lock(mutex_);
  set.database = database_;
  for (std::size_t i = 0; i < frozen_.size(); ++i) set.frozen[i] = frozen_[i].buffer;
  return set;
}

void Backend::request_commit(CommitDone done) {
  const bool active_holds_something = !active_->empty();
  if (active_holds_something) freeze_requested_ = true;
  {
    std::lock_guard lock(mutex_);
    requests_.push_back({active_holds_something ? active_sequence_ : active_sequence_ - 1, std::move(done)});
  }
  commit_loop_.wake();
}

Sizes Backend::sizes() const {
  Sizes sizes;
  sizes.allocated = allocated_bytes_.load(std::memory_order_relaxed);
  sizes.live = live_bytes_.load(std::memory_order_relaxed);
  sizes.quota = sizes.live + frozen_live_bytes_.load(std::memory_order_relaxed) +
                active_live_bytes_.load(std::memory_order_relaxed);
  return sizes;
}

std::shared_ptr<const Database> Backend::database() const {
  std::lock_guard lock(mutex_);
  return database_;
}

std::shared_ptr<const WriteBuffer> Backend::next_frozen() const {
  std::lock_guard lock(mutex_);
  return frozen_.empty() ? nullptr : frozen_.front().buffer;
}

void Backend::committed(const Commit& commit, bool with_buffer, std::uint64_t live_bytes) {
  std::shared_ptr<const WriteBuffer> written;
  {
    std::lock_guard lock(mutex_);
    last_commit_ = commit;
    live_bytes_.store(live_bytes, std::memory_order_relaxed);
    allocated_bytes_.store(database_->environment().allocated_bytes(), std::memory_order_relaxed);
    committed_index_.store(commit.consistent_index, std::memory_order_release);
    if (with_buffer) {
      written = std::move(frozen_.front().buffer);
      committed_sequence_ = frozen_.front().sequence;
      frozen_.pop_front();
    }
  }
  if (written) frozen_live_bytes_.fetch_sub(written->live_bytes(), std::memory_order_relaxed);
}

bool Backend::answer_requests() {
  std::vector<CommitDone> ready;
  Commit commit;
  {
    std::lock_guard lock(mutex_);
    if (requests_.empty()) return false;
    commit = last_commit_;
    std::erase_if(requests_, [&](Request& request) {
      if (request.sequence > committed_sequence_) return false;
      ready.push_back(std::move(request.done));
      return true;
    });
  }
  for (const CommitDone& done : ready) done(commit);
  return !ready.empty();
}

void Backend::fail_requests(const base::Error& error) {
  std::vector<Request> failed;
  {
    std::lock_guard lock(mutex_);
    failed.swap(requests_);
  }
  for (const Request& request : failed) request.done(error);
  defragment_over(error);
}

void Backend::defragment(DefragmentDone done) {
  {
    std::lock_guard lock(mutex_);
    if (defragment_waiters_.empty()) cancel_defragment_ = false;
    defragment_waiters_.push_back(std::move(done));
  }
  commit_loop_.wake();
}

void Backend::cancel_defragment() {
  {
    std::lock_guard lock(mutex_);
    if (!defragmenting()) return;
    cancel_defragment_ = true;
  }
  commit_loop_.wake();
}

std::optional<DefragmentProgress> Backend::defragment_progress() const {
  {
    std::lock_guard lock(mutex_);
    if (!defragmenting()) return std::nullopt;
  }
  return DefragmentProgress{.copied_bytes = copied_bytes_.load(std::memory_order_relaxed),
                            .total_bytes = live_bytes_.load(std::memory_order_relaxed)};
}

bool Backend::defragmenting() const { return !defragment_waiters_.empty() || shrink_; }

Backend::Wanted Backend::wanted() const {
  std::lock_guard lock(mutex_);
  if (!defragmenting()) return Wanted::kNothing;
  return cancel_defragment_ ? Wanted::kCancel : Wanted::kDefragment;
}

void Backend::defragment_over(base::Result<Defragmented> outcome) {
  std::vector<DefragmentDone> waiting;
  {
    std::lock_guard lock(mutex_);
    waiting.swap(defragment_waiters_);
    cancel_defragment_ = false;
    shrink_ = false;
  }
  copied_bytes_.store(0, std::memory_order_relaxed);
  for (const DefragmentDone& done : waiting) done(outcome);
}

Defragmented Backend::next_generation(Defragmentation& copy) {
  Defragmented out;
  out.generation = database_->generation() + 1;
  out.rows = copy.rows();
  out.allocated_before = allocated_bytes_.load(std::memory_order_relaxed);
  out.duration = options_.clock->now() - copy.begun();
  auto next = std::make_shared<Database>(copy.take_environment(), out.generation);
  out.allocated_after = next->environment().allocated_bytes();
  auto blocks = std::exchange(preallocation_, copy.take_preallocation());
  {
    std::lock_guard lock(mutex_);
    retired_.emplace_back(std::exchange(database_, std::move(next)), std::move(blocks));
    live_bytes_.store(copy.live_bytes(), std::memory_order_relaxed);
    allocated_bytes_.store(out.allocated_after, std::memory_order_relaxed);
  }
  generation_.store(out.generation, std::memory_order_release);
  return out;
}

Backend::Retired Backend::give_back_retired() {
  std::erase_if(retired_, [](RetiredGeneration& generation) { return generation.give_back(); });
  if (retired_.empty()) return Retired::kNone;
  return std::ranges::all_of(retired_, [](const RetiredGeneration& generation) { return generation.read(); }) ? Retired::kRead : Retired::kGoing;
}

void Backend::shrink() {
  std::lock_guard lock(mutex_);
  shrink_ = true;
}

bool Backend::worth_shrinking() const {
  const Sizes now = sizes();
  return now.allocated > 2 * now.live && now.allocated - now.live >= options_.shrink_at;
}

}  // namespace etcdpp::backend
