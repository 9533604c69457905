#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>

#include <etcdpp/backend/buffer_set.h>
#include <etcdpp/mvcc/pins.h>
#include <etcdpp/mvcc/tree_index.h>

namespace etcdpp::mvcc {

/// The whole key space after some applied entry: what readers see. Immutable.
struct View {
  std::int64_t revision = 1;           ///< Current main revision.
  std::uint64_t applied_index = 0;     ///< Last entry that it contains.
  std::int64_t compact_revision = -1;  ///< −1: never compacted.
  IndexRoot index;
  backend::BufferSet buffers;  ///< Rows that may not be in the database yet, and the database.

  std::uint64_t generation() const { return buffers.database ? buffers.database->generation() : 0; }
};

/// A View as it waits for its last reader, with the memory that this View and older ones were the last to refer to.
struct HeldView {
  View view;
  TreeIndex::Garbage garbage;
  std::atomic<std::uint32_t> readers{0};
};

/// A reader's hold on a View. Held for one slice of work (≤ 1 ms), never across a wait: memory that later batches
/// superseded stays until it is let go. Threads: a copy belongs to one thread at a time.
class ViewRef {
 public:
  ViewRef() = default;
  ViewRef(const ViewRef& other) : held_(other.held_) {
    if (held_) held_->readers.fetch_add(1, std::memory_order_relaxed);
  }
  ViewRef(ViewRef&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  ViewRef& operator=(ViewRef other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~ViewRef() {
    if (held_) held_->readers.fetch_sub(1, std::memory_order_release);
  }

  explicit operator bool() const { return held_ != nullptr; }
  const View& operator*() const { return held_->view; }
  const View* operator->() const { return &held_->view; }

 private:
  friend class Views;
  explicit ViewRef(HeldView* held) : held_(held) {}
  HeldView* held_ = nullptr;
};

/// The published Views: the newest for readers to take, the older ones until nobody reads them.
///
/// Threads: publish() and reclaim() from the apply loop; the rest from any. It outlives its readers.
/// Order of publication (DESIGN): rows → index root → View → event log head → waiters.
class Views {
 public:
  Views() = default;
  Views(const Views&) = delete;
  Views& operator=(const Views&) = delete;

  /// The newest View; there is one once the store was restored.
  ViewRef current() const;
  /// The newest published compact revision; never older than that of any View taken before. Readers look here again
  /// after they have opened their database snapshot.
  std::int64_t compact_revision() const { return compact_revision_.load(std::memory_order_acquire); }
  /// The newest View's.
  std::int64_t revision() const;
  std::uint64_t applied_index() const { return applied_index_.load(std::memory_order_acquire); }

  Pins& pins() const { return pins_; }

  /// Makes `view` the newest; `garbage` is what only superseded ones refer to.
  void publish(View view, TreeIndex::Garbage garbage);
  /// Gives the memory of Views without readers back, oldest first.
  void reclaim(TreeIndex& index);
  /// Views not reclaimed, the newest included.
  std::size_t held() const { return held_.size(); }

 private:
  mutable Pins pins_;
  // The apply loop's.
  std::deque<std::unique_ptr<HeldView>> held_;

  mutable std::mutex mutex_;
  HeldView* current_ = nullptr;  // guarded by mutex_

  std::atomic<std::int64_t> compact_revision_{-1};
  std::atomic<std::uint64_t> applied_index_{0};
};

}  // namespace etcdpp::mvcc
