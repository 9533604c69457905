#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/clock.h>
#include <etcdpp/base/random.h>
#include <etcdpp/mvcc/event_log.h>
#include <etcdpp/mvcc/key_range.h>
#include <etcdpp/mvcc/revision_events.h>
#include <etcdpp/mvcc/watcher_set.h>

namespace etcdpp::mvcc {

/// Unique within one stream only.
using WatchId = std::int64_t;

/// The id of answers that concern no watcher or all of them.
inline constexpr WatchId kNoWatchId = -1;

/// What a client asks for. Borrows its bytes for the call.
struct WatchCreate {
  WatchId id = 0;  ///< 0: the hub chooses
  KeyRange range = KeyRange::single("");
  std::int64_t start_revision = 0;  ///< 0: from the next change on
  bool prev_kv = false;
  bool no_put = false;
  bool no_delete = false;
  bool progress_notify = false;
  bool fragment = false;
};

/// One event of a response.
struct WatchEvent {
  /// Keeps `encoded` alive beyond the call, for a sink that does not copy.
  const RevisionEvents* owner;
  base::BytesView encoded;  ///< mvccpb.Event without prev_kv
  base::BytesView prev_kv;  ///< encoded mvccpb.KeyValue for the event's prev_kv; empty: none
};

/// What becomes one WatchResponse (or several fragments of one). Borrows everything for the call.
struct WatchDelivery {
  WatchId watch_id = 0;
  std::int64_t revision = 0;  ///< the header's; 0 for a cancel by compaction, as in etcd
  bool created = false;
  bool canceled = false;
  std::int64_t compact_revision = 0;
  std::string_view cancel_reason = {};
  /// The client takes fragments: split with fragment_ends().
  bool fragment = false;
  std::span<const WatchEvent> events = {};
};

/// Where a stream's responses go: the rpc layer's end of one gRPC watch stream.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  /// Bytes of events that it takes now. 0 when so much waits for the client that its watchers had better fall behind; then
  /// the owner of the sink calls WatchHub::on_room() when it has drained.
  virtual std::size_t room() const = 0;
  bool has_room() const { return room() != 0; }
  /// Takes a response, in order. Larger than room() only if it is one revision. Control responses come without room too
  /// (the client asked for each of them). Must not call the hub.
  virtual void send(const WatchDelivery& delivery) = 0;
};

/// A batch of past revisions, read from the store for watchers that the log no longer reaches.
struct HistoryBatch {
  std::uint64_t ticket = 0;
  std::vector<RevisionEvents> revisions;
  /// Everything from the wanted revision to this one is in `revisions`; below the wanted one: nothing could be read
  /// (compacted meanwhile), the hub looks again.
  std::int64_t covered_to = 0;
  /// The store's revision when it was read.
  std::int64_t current_revision = 0;
};

/// What a hub asks of the store.
class WatchStore {
 public:
  virtual ~WatchStore() = default;
  /// The newest published compact revision; −1: none.
  virtual std::int64_t compact_revision() const = 0;
  /// The key's KeyValue as it was at `revision`, encoded; none if it did not exist or is compacted. Called in the hub's
  /// thread.
  virtual std::optional<base::Bytes> value_at(base::BytesView key, std::int64_t revision) = 0;
  /// Reads revisions from `from` on in another thread (history_reader.h); the answer comes back through
  /// WatchHub::on_history() in the hub's thread. One request at a time.
  virtual void read_history(std::uint64_t ticket, std::int64_t from) = 0;
};

struct WatchHubOptions {
  base::Duration progress_interval = std::chrono::minutes(10);
  std::size_t revisions_per_batch = 1000;  ///< with events of a watcher that catches up, in one response
  std::size_t revisions_per_round = 4000;  ///< of the log that are looked at for those that catch up together
  std::size_t watchers_per_round = 512;    ///< that catch up together
  std::size_t bytes_per_batch = 2 << 20;   ///< of one response, and of one slice of the log
};

/// The watchers of one I/O thread's connections: matches the event log against them, and brings those that are behind
/// back to it.
///
/// Watchers are *synced* (matched against the log at one common cursor), *lagging* (their next revision lies before the
/// cursor: they started in the past, or their stream had no room when an event came) or *parked* (lagging, and the stream
/// still has no room: etcd's victims, of which nothing but the next revision is kept). Lagging watchers are fed in rounds
/// of up to 512 from the log, or from the store where the log no longer reaches, and rejoin when they have reached the
/// cursor; all of it happens in the hub's own thread, so nothing is lost or sent twice.
///
/// Threads: one owner, the I/O thread; other threads reach it by messages. Pure: time is an argument, randomness (the
/// jitter of progress) a generator.
/// Order: per stream, in the order of the send() calls; `created` before any event of a watcher, nothing after its
/// cancel; per watcher events in order of revision, each once, a revision never split over two deliveries.
/// Progress is answered with the cursor's revision and only when all events up to it were sent.
/// etcd: server/storage/mvcc watchable_store and api/v3rpc watch. Differences: events of several revisions that are ready
/// together come in one response; a response is cut at what the stream takes too, at most 2 MiB; a watcher that lags past a compaction is canceled even if
/// its missed batch is still in memory; of a watcher canceled by compaction only the id is kept until the client cancels it too.
class WatchHub {
 public:
  class Stream;

  WatchHub(const WatchHubOptions& options, EventLog& log, EventLog::Listener& listener, WatchStore& store, base::Random random);
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;
  ~WatchHub();

  /// A stream begins; `sink` outlives it.
  Stream& open(WatchSink& sink, base::Instant now);
  /// Forgets the stream and its watchers; nothing more is sent.
  void close(Stream& stream);

  /// Answers `created`, or created and canceled with a reason.
  void create(Stream& stream, const WatchCreate& request);
  /// Answers created and canceled: for what the rpc layer refuses (no permission).
  void reject(Stream& stream, std::string_view reason);
  /// Answers `canceled`, once more for a watcher that a compaction has ended; nothing for an unknown id.
  void cancel(Stream& stream, WatchId id);
  /// Answers with the id −1 if all watchers of the stream are synced and started; else nothing.
  void request_progress(Stream& stream);

  /// The stream's sink has room again.
  void on_room(Stream& stream);
  void on_history(HistoryBatch batch);
  /// Does a slice of what there is: new events, catching up, progress that is due. True: call again soon.
  bool step(base::Instant now);
  /// When the next progress notification is due.
  std::optional<base::Instant> next_progress() const;

  std::size_t watchers() const { return watcher_count_; }
  std::size_t streams() const { return streams_.size(); }
  /// Watchers that are not synced (etcd's slow watchers).
  std::size_t lagging() const { return watcher_count_ - synced_.size(); }
  /// Events handed to sinks so far.
  std::uint64_t events_sent() const { return events_sent_; }
  std::int64_t cursor() const { return cursor_; }

 private:
  struct Watcher;
  class WatcherList;
  struct Touched;
  struct Match;

  void send_control(Stream& stream, WatchId id, bool created, bool canceled, std::string_view reason = {});
  void send_progress(Stream& stream, WatchId id);
  void remove(Watcher& watcher);
  void forget(std::size_t watchers);
  void join_or_lag(Watcher& watcher);
  void lag_all_synced();
  bool settled(const Watcher& watcher) const;

  bool advance();
  void catch_up();
  void feed(std::vector<Watcher*>& group, std::span<const RevisionEvents> revisions, std::int64_t covered_to, std::int64_t header);
  void request_history();

  void match(const WatcherSet& set, std::span<const RevisionEvents> revisions, bool cut);
  void group_by_watcher();
  void deliver(const Touched& touched, std::span<const RevisionEvents> revisions, std::int64_t header);
  base::BytesView previous_value(const RevisionEvents& revision, std::size_t event);
  void send_due_progress(base::Instant now);

  const WatchHubOptions options_;
  EventLog& log_;
  EventLog::Reader reader_;
  WatchStore& store_;
  base::Random random_;

  std::unordered_map<Stream*, std::unique_ptr<Stream>> streams_;
  std::map<base::Instant, std::vector<Stream*>> progress_due_;
  std::size_t watcher_count_ = 0;
  std::size_t gone_ = 0;  ///< since the reader's filter was made
  std::uint64_t events_sent_ = 0;

  /// All events up to here were matched against the synced watchers.
  std::int64_t cursor_;
  std::uint64_t epoch_ = 0;
  WatcherSet synced_;
  /// Behind the cursor, their stream has room: fed in the next round.
  std::unique_ptr<WatcherList> lagging_;
  /// Behind what the log keeps: wait until the store can be asked.
  std::unique_ptr<WatcherList> distant_;
  /// Those for which the store was asked; null where one went away meanwhile.
  std::vector<Watcher*> reading_;
  bool asked_ = false;
  std::uint64_t ticket_ = 0;

  // Scratch of a pass, kept for its memory.
  EventLog::Batch batch_;
  std::uint32_t pass_ = 0;
  std::vector<Touched> touched_;
  std::vector<Match> matches_;
  std::vector<Match> by_watcher_;
  std::vector<WatchEvent> delivery_;
  std::map<std::pair<std::int64_t, std::size_t>, base::Bytes> previous_;
};

/// Where to cut a response for a client that takes fragments: positions behind the last event of each piece (the last is
/// the number of events). `event_bytes` are the sizes of the events as elements of the response (tag and length included),
/// `fixed_bytes` the rest of it without the fragment flag, `limit` max-request-bytes + 512 KiB.
std::vector<std::size_t> fragment_ends(std::span<const std::size_t> event_bytes, std::size_t fixed_bytes, std::size_t limit);

}  // namespace etcdpp::mvcc
