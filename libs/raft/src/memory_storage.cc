#include <etcdpp/raft/storage.h>

#include <algorithm>

#include <etcdpp/raft/errc.h>

namespace etcdpp::raft {

MemoryStorage::MemoryStorage() : entries_(1) {}

base::Result<Storage::InitialState> MemoryStorage::initial_state() {
  return InitialState{hard_state_, snapshot_.metadata.conf_state};
}

Index MemoryStorage::first_index() { return entries_[head_].index + 1; }
Index MemoryStorage::last_index() { return entries_.back().index; }

base::Result<> MemoryStorage::entries(Index lo, Index hi, std::uint64_t max_bytes, std::vector<Entry>& out) {
  if (lo <= entries_[head_].index) return base::Error(Errc::kCompacted);
  if (hi > last_index() + 1) return base::Error(Errc::kUnavailable);
  if (lo >= hi) return {};
  const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(offset_of(lo));
  const auto end = first + static_cast<std::ptrdiff_t>(hi - lo);
  std::uint64_t size = 0;
  auto last = first;
  for (; last != end; ++last) {
    size += encoded_size(*last);
    if (size > max_bytes && last != first) break;
  }
  out.insert(out.end(), first, last);
  return {};
}

base::Result<Term> MemoryStorage::term(Index i) {
  if (i < entries_[head_].index) return base::Error(Errc::kCompacted);
  if (i > last_index()) return base::Error(Errc::kUnavailable);
  return entries_[offset_of(i)].term;
}

base::Result<Snapshot> MemoryStorage::snapshot() { return snapshot_; }

base::Result<> MemoryStorage::append(std::span<const Entry> entries) {
  if (entries.empty()) return {};
  const Index first = first_index();
  if (entries.back().index < first) return {};
  if (entries.front().index < first) entries = entries.subspan(first - entries.front().index);
  if (entries.front().index > last_index() + 1)
    return base::Error(Errc::kUnavailable, "missing log entries between " + std::to_string(last_index()) + " and " +
                                               std::to_string(entries.front().index));
  entries_.resize(offset_of(entries.front().index));
  entries_.insert(entries_.end(), entries.begin(), entries.end());
  return {};
}

base::Result<> MemoryStorage::apply_snapshot(Snapshot snapshot) {
  if (snapshot_.metadata.index >= snapshot.metadata.index) return base::Error(Errc::kSnapshotOutOfDate);
  snapshot_ = std::move(snapshot);
  entries_.assign(1, Entry{.term = snapshot_.metadata.term, .index = snapshot_.metadata.index});
  head_ = 0;
  return {};
}

base::Result<Snapshot> MemoryStorage::create_snapshot(Index index, const ConfState* conf_state, base::SharedBytes data) {
  if (index <= snapshot_.metadata.index) return base::Error(Errc::kSnapshotOutOfDate);
  ETCDPP_ASSIGN(const Term its_term, term(index));
  snapshot_.metadata.index = index;
  snapshot_.metadata.term = its_term;
  if (conf_state) snapshot_.metadata.conf_state = *conf_state;
  snapshot_.data = std::move(data);
  return snapshot_;
}

base::Result<> MemoryStorage::compact(Index index) {
  if (index <= entries_[head_].index) return base::Error(Errc::kCompacted);
  if (index > last_index()) return base::Error(Errc::kUnavailable);
  const std::size_t keep = offset_of(index);
  for (std::size_t i = head_; i <= keep; ++i) entries_[i].data = {};
  entries_[keep].type = EntryType::kNormal;
  head_ = keep;
  // Moving what is left costs no more than what was dropped.
  if (head_ * 2 > entries_.size()) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
  return {};
}

}  // namespace etcdpp::raft
