#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/mvcc/commit_observer.h>

namespace etcdpp::mvcc {

/// One change as watchers get it. Borrows the bytes of the RevisionEvents that holds it.
struct Event {
  base::BytesView key;
  /// mvccpb.Event without prev_kv, encoded: what every watcher's response repeats as it is.
  base::BytesView encoded;
  bool tombstone;
  /// The put that began a generation; it has no previous value.
  bool creates;
};

/// All events of one main revision, encoded once and shared by whoever sends or keeps them. Immutable.
///
/// One allocation with its own count of owners. Threads: copies may live in any thread.
class RevisionEvents {
 public:
  RevisionEvents() = default;
  RevisionEvents(const RevisionEvents& other) noexcept : block_(other.block_) {
    if (block_) block_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  RevisionEvents(RevisionEvents&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  RevisionEvents& operator=(RevisionEvents other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~RevisionEvents() {
    if (block_ && block_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) release(block_);
  }

  explicit operator bool() const { return block_ != nullptr; }
  std::int64_t revision() const { return block_->revision; }
  std::size_t size() const { return block_->count; }
  Event operator[](std::size_t i) const;
  /// What it takes in memory.
  std::size_t memory_bytes() const { return block_->bytes; }

 private:
  friend class RevisionEventsBuilder;
  struct Place {
    std::uint32_t encoded_at, encoded_size, key_at, key_size;
    bool tombstone, creates;
  };
  struct Block {
    std::atomic<std::uint32_t> owners;
    std::uint32_t count;
    std::int64_t revision;
    std::size_t bytes;
    const Place* places() const { return reinterpret_cast<const Place*>(this + 1); }
    const char* data() const { return reinterpret_cast<const char*>(places() + count); }
  };
  static void release(Block* block);

  Block* block_ = nullptr;
};

/// Gathers the changes of one revision in the order of their subs.
class RevisionEventsBuilder {
 public:
  /// `key_value` is the event's mvccpb.KeyValue, encoded, with the key as its first field.
  void add(base::BytesView key, base::BytesView key_value, bool tombstone, bool creates);
  bool empty() const { return places_.empty(); }
  /// Bytes of the events gathered so far.
  std::size_t bytes() const { return bytes_.size(); }
  /// The events under `revision`; the builder is empty again. Null if a revision has more than 4 GiB of events: nobody
  /// can be sent such a thing.
  RevisionEvents take(std::int64_t revision);

 private:
  std::vector<RevisionEvents::Place> places_;
  base::Bytes bytes_;
};

}  // namespace etcdpp::mvcc
