#include <etcdpp/mvcc/view.h>

namespace etcdpp::mvcc {

ViewRef Views::current() const {
  std::lock_guard lock(mutex_);
  if (!current_) return {};
  current_->readers.fetch_add(1, std::memory_order_relaxed);
  return ViewRef(current_);
}

// Not a number beside the newest View: what was seen there is never newer than this.
std::int64_t Views::revision() const {
  std::lock_guard lock(mutex_);
  return current_ ? current_->view.revision : 0;
}

void Views::publish(View view, TreeIndex::Garbage garbage) {
  // What the superseded View refers to and the new one does not.
  if (!held_.empty()) held_.back()->garbage = std::move(garbage);
  auto next = std::make_unique<HeldView>();
  next->view = std::move(view);
  HeldView* newest = next.get();
  held_.push_back(std::move(next));
  {
    std::lock_guard lock(mutex_);
    current_ = newest;
  }
  applied_index_.store(newest->view.applied_index, std::memory_order_release);
  compact_revision_.store(newest->view.compact_revision, std::memory_order_release);
}

// Only the newest View gains readers (or one who has it already hands on a copy), so an older one that has none stays
// without. Its garbage may be in use by still older ones: hence oldest first, and no further than the first that is
// read.
void Views::reclaim(TreeIndex& index) {
  while (held_.size() > 1 && held_.front()->readers.load(std::memory_order_acquire) == 0) {
    index.reclaim(std::move(held_.front()->garbage));
    held_.pop_front();
  }
}

}  // namespace etcdpp::mvcc
