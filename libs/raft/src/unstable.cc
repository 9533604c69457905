#include "unstable.h"

#include <algorithm>
#include <iterator>

#include <etcdpp/base/assert.h>

namespace etcdpp::raft {

std::optional<Index> Unstable::first_index() const {
  if (!snapshot_) return std::nullopt;
  return snapshot_->metadata.index + 1;
}

std::optional<Index> Unstable::last_index() const {
  if (size() != 0) return offset_ + size() - 1;
  if (snapshot_) return snapshot_->metadata.index;
  return std::nullopt;
}

std::optional<Term> Unstable::term(Index i) const {
  if (i < offset_) {
    if (snapshot_ && snapshot_->metadata.index == i) return snapshot_->metadata.term;
    return std::nullopt;
  }
  if (i - offset_ >= size()) return std::nullopt;
  return entries()[i - offset_].term;
}

void Unstable::accept_in_progress() {
  offset_in_progress_ = offset_ + size();
  if (snapshot_) snapshot_in_progress_ = true;
}

void Unstable::stable_to(EntryId id) {
  const std::optional<Term> ours = term(id.index);
  if (!ours) return say_.info("entry at index {} missing from unstable log; ignoring", id.index);
  if (id.index < offset_) return say_.info("entry at index {} matched unstable snapshot; ignoring", id.index);
  if (*ours != id.term)
    return say_.info("entry at (index,term)=({},{}) mismatched with entry at ({},{}) in unstable log; ignoring", id.index,
                     id.term, id.index, *ours);
  const std::size_t stable = id.index + 1 - offset_;
  offset_ = id.index + 1;
  offset_in_progress_ = std::max(offset_in_progress_, offset_);
  if (stable == size()) {
    entries_.clear();
    head_ = 0;
    return;
  }
  for (std::size_t i = 0; i < stable; ++i) entries_[head_ + i].data = {};
  head_ += stable;
  if (head_ * 2 > entries_.size()) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
}

void Unstable::stable_snapshot_to(Index index) {
  if (!snapshot_ || snapshot_->metadata.index != index) return;
  snapshot_ = nullptr;
  snapshot_in_progress_ = false;
}

void Unstable::restore(std::shared_ptr<const Snapshot> snapshot) {
  offset_ = snapshot->metadata.index + 1;
  offset_in_progress_ = offset_;
  entries_.clear();
  head_ = 0;
  snapshot_ = std::move(snapshot);
  snapshot_in_progress_ = false;
}

void Unstable::truncate_and_append(std::span<Entry> entries) {
  const Index from = entries.front().index;
  ETCDPP_ASSERT(from <= offset_ + size(), "the log has no gaps");
  if (from == offset_ + size()) {
    // Behind what is there.
  } else if (from <= offset_) {
    say_.info("replace the unstable entries from index {}", from);
    entries_.clear();
    head_ = 0;
    offset_ = from;
    offset_in_progress_ = from;
  } else {
    say_.info("truncate the unstable entries before index {}", from);
    entries_.resize(head_ + (from - offset_));
    // What is being written above `from` is void; its replacement is to be written again.
    offset_in_progress_ = std::min(offset_in_progress_, from);
  }
  entries_.insert(entries_.end(), std::make_move_iterator(entries.begin()), std::make_move_iterator(entries.end()));
}

}  // namespace etcdpp::raft
