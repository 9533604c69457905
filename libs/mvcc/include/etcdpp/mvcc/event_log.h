#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include <etcdpp/mvcc/commit_observer.h>
#include <etcdpp/mvcc/key_filter.h>
#include <etcdpp/mvcc/revision_events.h>

namespace etcdpp::mvcc {

struct EventLogOptions {
  /// Events that a hub has not taken yet are kept up to this; beyond, the oldest go and the hub catches up from the store.
  std::size_t max_bytes = 64 << 20;
  /// Events that all hubs have taken are kept up to this, for watchers that catch up.
  std::size_t history_bytes = 16 << 20;
};

/// The newest revisions with their events, in order: written by apply, read by the hub of every I/O thread.
///
/// Hop 12 of a Put. Apply appends through the CommitObserver port while it applies; publish(), once per batch and after
/// the View was published, lets the hubs see it and wakes those that wait.
///
/// Threads: on_change, on_end, publish and reset from the apply loop; everything else from any. One mutex, held for
/// moving references only. Bounds: EventLogOptions; a revision larger than max_bytes is not kept at all.
class EventLog final : public CommitObserver {
 public:
  /// What to tell when there is something new: asks the owner of a hub to call WatchHub::step() in its thread.
  class Listener {
   public:
    virtual ~Listener() = default;
    /// From the apply loop, under the log's mutex: notes it, posts it, calls nobody back. At most once between two
    /// calls of take() through the same reader.
    virtual void on_new_events() = 0;
  };

  /// A hub's place in the log.
  class Reader {
   public:
    Reader(EventLog& log, Listener& listener);
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    /// Whether the listener is called and unread events are kept for it: while the hub has watchers.
    void set_active(bool active);
    /// While the reader has taken everything, revisions of which no key passes the filter are passed over: nobody is woken
    /// for them, and the next take() begins behind them. At first everything is wanted.
    void want(KeyFilter keys);
    /// Up to where the reader has taken or passed over, under which count of resets.
    struct Place {
      std::int64_t taken;
      std::uint64_t epoch;
    };
    /// One more key, or all: what comes behind the place is not passed over for want of it.
    Place want_also(base::BytesView key);
    Place want_all();

   private:
    friend class EventLog;
    EventLog& log_;
    Listener& listener_;
    // Guarded by the log's mutex.
    std::int64_t taken_ = 0;
    bool active_ = false;
    bool wants_wake_ = true;
    KeyFilter wanted_;
  };

  /// `revision` is the store's current one: the log begins behind it. A log that must exist before the store is restored
  /// (it is the store's observer) is made with 1 and reset() afterwards.
  explicit EventLog(std::int64_t revision, const EventLogOptions& options = {});

  void on_change(const Change& change) override;
  void on_end(std::int64_t main) override;
  /// Everything that has ended is visible, and the head is `revision` (the published View's).
  void publish(std::int64_t revision);
  /// The store was replaced (a snapshot was installed): the log is empty behind `revision`, and every hub notices.
  void reset(std::int64_t revision);

  /// The newest published revision.
  std::int64_t head() const { return head_.load(std::memory_order_acquire); }

  /// One answer of the log to a reader.
  struct Batch {
    /// Contiguous, from the wanted revision on; empty at the head or behind what is kept.
    std::vector<RevisionEvents> revisions;
    /// The first revision that the reader had not passed over; as asked for by read().
    std::int64_t from = 0;
    /// The first revision that is kept; above the wanted one: the store must be asked.
    std::int64_t first = 0;
    std::int64_t head = 0;
    /// Counts resets.
    std::uint64_t epoch = 0;
  };
  /// Revisions from `from` to at most `to`, until `max_revisions` or (after at least one) `max_bytes`. `batch` is reused.
  void read(std::int64_t from, std::int64_t to, std::size_t max_revisions, std::size_t max_bytes, Batch& batch) const;
  /// The same for the events behind those that `reader` has taken before; they count as taken, and its listener is
  /// called again for newer ones.
  void take(Reader& reader, std::int64_t from, std::size_t max_revisions, std::size_t max_bytes, Batch& batch);

  std::size_t bytes() const;

 private:
  void copy(std::int64_t from, std::int64_t to, std::size_t max_revisions, std::size_t max_bytes, Batch& batch) const;
  void trim();
  bool wanted(const Reader& reader) const;

  const EventLogOptions options_;
  // The apply loop's: the transaction that is being made, and those of this batch.
  RevisionEventsBuilder building_;
  std::vector<RevisionEvents> ended_;
  std::vector<std::uint64_t> key_hashes_;

  std::atomic<std::int64_t> head_;
  mutable std::mutex mutex_;
  // Guarded by mutex_. revisions_[i] is first_ + i.
  std::deque<RevisionEvents> revisions_;
  std::int64_t first_;
  std::size_t bytes_ = 0;
  std::uint64_t epoch_ = 0;
  std::vector<Reader*> readers_;
};

}  // namespace etcdpp::mvcc
