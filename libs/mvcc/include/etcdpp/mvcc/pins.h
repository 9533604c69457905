#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

namespace etcdpp::mvcc {

class Pins;

/// Holds one revision of the history against the compaction job; let go by destruction.
class Pin {
 public:
  Pin() = default;
  Pin(Pin&& other) noexcept : pins_(std::exchange(other.pins_, nullptr)), revision_(other.revision_) {}
  Pin& operator=(Pin&& other) noexcept {
    std::swap(pins_, other.pins_);
    std::swap(revision_, other.revision_);
    return *this;
  }
  ~Pin() { release(); }

  void release();
  bool held() const { return pins_ != nullptr; }
  std::int64_t revision() const { return revision_; }

 private:
  friend class Pins;
  Pin(Pins* pins, std::int64_t revision) : pins_(pins), revision_(revision) {}
  Pins* pins_ = nullptr;
  std::int64_t revision_ = 0;
};

/// The revisions that answers in progress still need.
///
/// A compaction to N is in force for new readers at once; its job, which removes index entries and rows, waits until no
/// revision below N is pinned. Threads: any. How long a pin may live is the holder's rule (DESIGN: 30 s without
/// progress, 5 min in all), not kept here.
class Pins {
 public:
  Pin pin(std::int64_t revision) {
    std::lock_guard lock(mutex_);
    ++held_[revision];
    return {this, revision};
  }
  /// The oldest revision pinned; the largest number if none is.
  std::int64_t lowest() const {
    std::lock_guard lock(mutex_);
    return held_.empty() ? std::numeric_limits<std::int64_t>::max() : held_.begin()->first;
  }

 private:
  friend class Pin;
  void release(std::int64_t revision) {
    std::lock_guard lock(mutex_);
    auto at = held_.find(revision);
    if (--at->second == 0) held_.erase(at);
  }

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::map<std::int64_t, std::size_t> held_;
};

inline void Pin::release() {
  if (pins_) std::exchange(pins_, nullptr)->release(revision_);
}

}  // namespace etcdpp::mvcc
