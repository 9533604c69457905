#pragma once

#include <cstdint>
#include <map>
#include <set>

#include <etcdpp/mvcc/watch_hub.h>

namespace etcdpp::mvcc {

/// One watcher of a stream. Its place says in which of the hub's collections it is.
struct WatchHub::Watcher {
  enum class Place : std::uint8_t { kNone, kSynced, kLagging, kDistant, kReading, kParked };

  Stream* stream;
  WatchId id;
  base::Bytes begin;
  base::Bytes end;
  enum class Kind : std::uint8_t { kSingle, kInterval, kFrom } kind;
  Place place = Place::kNone;
  bool prev_kv, no_put, no_delete, progress_notify, fragment;
  /// Nothing was sent since the last progress tick.
  bool quiet = true;
  /// As asked for: until it is reached the stream has no progress.
  std::int64_t start_revision;
  /// The next revision that it has not been given; while synced, only if above the cursor.
  std::int64_t next;
  /// Its place in the hub's touched_, if `pass` is the hub's.
  std::uint32_t pass = 0;
  std::uint32_t slot = 0;
  // WatcherList's.
  Watcher* before = nullptr;
  Watcher* behind = nullptr;

  KeyRange range() const {
    switch (kind) {
      case Kind::kSingle: return KeyRange::single(begin);
      case Kind::kInterval: return KeyRange::interval(begin, end);
      case Kind::kFrom: break;
    }
    return KeyRange::from(begin);
  }
  bool filtered(const Event& event) const { return event.tombstone ? no_delete : no_put; }
};

/// Watchers in order of arrival, each in one list at most.
class WatchHub::WatcherList {
 public:
  bool empty() const { return first_ == nullptr; }
  Watcher* first() const { return first_; }
  void push_back(Watcher& watcher) {
    watcher.before = last_;
    watcher.behind = nullptr;
    (last_ ? last_->behind : first_) = &watcher;
    last_ = &watcher;
  }
  void erase(Watcher& watcher) {
    (watcher.before ? watcher.before->behind : first_) = watcher.behind;
    (watcher.behind ? watcher.behind->before : last_) = watcher.before;
  }

 private:
  Watcher* first_ = nullptr;
  Watcher* last_ = nullptr;
};

/// One gRPC watch stream.
class WatchHub::Stream {
 public:
  explicit Stream(WatchSink& to) : sink(to) {}

  WatchSink& sink;
  std::map<WatchId, Watcher> watchers;
  /// Of watchers that a compaction has ended and the client has not canceled since: still taken, as in etcd. The newest
  /// kMaxEnded, so that a client which never cancels costs no more than that.
  std::set<WatchId> ended;
  static constexpr std::size_t kMaxEnded = 4096;
  bool taken(WatchId id) const { return watchers.contains(id) || ended.contains(id); }
  WatchId next_id = 0;
  /// Lagging watchers that wait for room.
  WatcherList parked;
  base::Duration progress_interval{};
  base::Instant progress_at;
};

/// A watcher with events in this pass.
struct WatchHub::Touched {
  Watcher* watcher;
  std::uint32_t first;  ///< its matches in by_watcher_
  std::uint32_t count;
  std::uint32_t revisions;
  std::size_t bytes;
  std::size_t room;  ///< of its stream, when the first event was found
  std::int64_t last;  ///< the last revision matched
  std::int64_t cut;   ///< the first revision that goes into the next response; 0: none
};

struct WatchHub::Match {
  std::uint32_t slot;
  std::uint32_t revision;  ///< position in the slice of revisions
  std::uint32_t event;
};

}  // namespace etcdpp::mvcc
