#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <etcdpp/base/clock.h>

namespace etcdpp::lease {

/// Deadlines by id, the earliest on top: sixteen bytes each, no index. An entry is never moved or erased from within;
/// its owner recognises one that no longer counts by its time and drops it when it surfaces.
class DeadlineHeap {
 public:
  struct Entry {
    base::Instant time;
    std::int64_t id;
  };

  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  const Entry& top() const { return entries_.front(); }
  void push(base::Instant time, std::int64_t id) {
    entries_.push_back({time, id});
    std::push_heap(entries_.begin(), entries_.end(), later);
  }
  void pop() {
    std::pop_heap(entries_.begin(), entries_.end(), later);
    entries_.pop_back();
  }
  void clear() { entries_.clear(); }
  /// Drops every entry for which `stale` says so.
  template <typename Stale>
  void erase_if(Stale stale) {
    std::erase_if(entries_, stale);
    std::make_heap(entries_.begin(), entries_.end(), later);
  }

 private:
  static bool later(const Entry& a, const Entry& b) { return a.time != b.time ? a.time > b.time : a.id > b.id; }
  std::vector<Entry> entries_;
};

}  // namespace etcdpp::lease
