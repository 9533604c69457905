// Hop 12 of a Put, the reading side: see docs/LIFE_OF_A_PUT.md.
//
// Why nothing is lost or doubled: a watcher's `next` is the only memory of what it was given. A synced watcher has been
// given everything up to the cursor, and the cursor moves only here, together with the matching of what it passes. A
// watcher leaves the synced set with next = the first revision that it could not be given, and comes back only when next
// is above the cursor, in the same call that gave it the last revision below.
#include <etcdpp/mvcc/watch_hub.h>

#include <algorithm>
#include <string>

#include "watcher.h"

namespace etcdpp::mvcc {

namespace {

// The cancel reasons of etcd: clients match on them.
constexpr std::string_view kCompactedReason = "etcdserver: mvcc: required revision has been compacted";
constexpr std::string_view kEmptyRangeReason = "mvcc: watcher range is empty";
constexpr std::string_view kDuplicateReason = "mvcc: duplicate watch ID provided on the WatchStream";

/// So many watchers more than there are must have gone before the filter of their keys is made anew.
constexpr std::size_t kGoneSlack = 64;
/// Revisions of the log that one slice matches against the synced watchers.
constexpr std::size_t kSliceRevisions = 256;

}  // namespace

WatchHub::WatchHub(const WatchHubOptions& options, EventLog& log, EventLog::Listener& listener, WatchStore& store,
                   base::Random random)
    : options_(options),
      log_(log),
      reader_(log, listener),
      store_(store),
      random_(random),
      cursor_(log.head()),
      synced_(random_.next()),
      lagging_(std::make_unique<WatcherList>()),
      distant_(std::make_unique<WatcherList>()) {}

WatchHub::~WatchHub() = default;

WatchHub::Stream& WatchHub::open(WatchSink& sink, base::Instant now) {
  auto owned = std::make_unique<Stream>(sink);
  Stream& stream = *owned;
  const base::Duration interval = options_.progress_interval;
  stream.progress_interval = interval + base::Duration(random_.below(static_cast<std::uint64_t>(interval.count()) / 10 + 1));
  stream.progress_at = now + stream.progress_interval;
  progress_due_[stream.progress_at].push_back(&stream);
  streams_.emplace(&stream, std::move(owned));
  return stream;
}

void WatchHub::close(Stream& stream) {
  for (auto& [id, watcher] : stream.watchers) remove(watcher);
  const std::size_t gone = std::exchange(stream.watchers, {}).size();
  forget(gone);
  const auto due = progress_due_.find(stream.progress_at);
  std::erase(due->second, &stream);
  if (due->second.empty()) progress_due_.erase(due);
  streams_.erase(&stream);
}

void WatchHub::send_control(Stream& stream, WatchId id, bool created, bool canceled, std::string_view reason) {
  stream.sink.send({.watch_id = id, .revision = log_.head(), .created = created, .canceled = canceled, .cancel_reason = reason});
}

void WatchHub::reject(Stream& stream, std::string_view reason) { send_control(stream, kNoWatchId, true, true, reason); }

void WatchHub::create(Stream& stream, const WatchCreate& request) {
  const KeyRange& range = request.range;
  if (request.start_revision < 0) return reject(stream, kCompactedReason);
  if (range.has_end() && range.end() <= range.begin()) return reject(stream, kEmptyRangeReason);
  WatchId id = request.id;
  if (id == 0) {
    while (stream.taken(stream.next_id)) ++stream.next_id;
    id = stream.next_id++;
  } else if (stream.taken(id)) {
    return reject(stream, kDuplicateReason);
  }
  if (watcher_count_ == 0) {
    // Nobody listened: what lies between is nobody's.
    reader_.want({});
    gone_ = 0;
    reader_.set_active(true);
    log_.take(reader_, log_.head() + 1, 1, 1, batch_);
    cursor_ = batch_.head;
    epoch_ = batch_.epoch;
  }
  // What was passed over concerned nobody, but may concern this one, who then has to catch up.
  const EventLog::Reader::Place place = range.is_single() ? reader_.want_also(range.begin()) : reader_.want_all();
  if (place.epoch == epoch_) cursor_ = std::max(cursor_, place.taken);
  const std::int64_t head = std::max(log_.head(), cursor_);
  Watcher& watcher = stream.watchers
                         .emplace(id, Watcher{.stream = &stream,
                                              .id = id,
                                              .begin = base::Bytes(range.begin()),
                                              .end = range.has_end() ? base::Bytes(range.end()) : base::Bytes(),
                                              .kind = range.is_single() ? Watcher::Kind::kSingle
                                                      : range.has_end() ? Watcher::Kind::kInterval
                                                                        : Watcher::Kind::kFrom,
                                              .prev_kv = request.prev_kv,
                                              .no_put = request.no_put,
                                              .no_delete = request.no_delete,
                                              .progress_notify = request.progress_notify,
                                              .fragment = request.fragment,
                                              .start_revision = request.start_revision,
                                              .next = request.start_revision == 0 ? head + 1 : request.start_revision})
                         .first->second;
  ++watcher_count_;
  send_control(stream, id, true, false);
  join_or_lag(watcher);
}

void WatchHub::cancel(Stream& stream, WatchId id) {
  const auto at = stream.watchers.find(id);
  if (at == stream.watchers.end()) {
    if (stream.ended.erase(id) != 0) send_control(stream, id, false, true);
    return;
  }
  remove(at->second);
  stream.watchers.erase(at);
  forget(1);
  send_control(stream, id, false, true);
}

void WatchHub::remove(Watcher& watcher) {
  switch (watcher.place) {
    case Watcher::Place::kNone: break;
    case Watcher::Place::kSynced: synced_.erase(watcher.range(), &watcher); break;
    case Watcher::Place::kLagging: lagging_->erase(watcher); break;
    case Watcher::Place::kDistant: distant_->erase(watcher); break;
    case Watcher::Place::kParked: watcher.stream->parked.erase(watcher); break;
    case Watcher::Place::kReading: std::replace(reading_.begin(), reading_.end(), &watcher, static_cast<Watcher*>(nullptr)); break;
  }
  watcher.place = Watcher::Place::kNone;
}

void WatchHub::forget(std::size_t watchers) {
  if (watchers == 0) return;
  watcher_count_ -= watchers;
  if (watcher_count_ == 0) return reader_.set_active(false);
  // Their keys are still let through; from time to time those of the others are gathered anew.
  gone_ += watchers;
  if (gone_ <= watcher_count_ + kGoneSlack) return;
  gone_ = 0;
  KeyFilter keys;
  for (const auto& [stream, owned] : streams_) {
    for (const auto& [id, watcher] : owned->watchers) {
      if (watcher.kind == Watcher::Kind::kSingle) keys.add(watcher.begin);
      else keys.add_all();
    }
  }
  reader_.want(std::move(keys));
}

void WatchHub::join_or_lag(Watcher& watcher) {
  if (watcher.next > cursor_) {
    watcher.place = Watcher::Place::kSynced;
    synced_.insert(watcher.range(), &watcher);
  } else if (watcher.stream->sink.has_room()) {
    watcher.place = Watcher::Place::kLagging;
    lagging_->push_back(watcher);
  } else {
    watcher.place = Watcher::Place::kParked;
    watcher.stream->parked.push_back(watcher);
  }
}

void WatchHub::lag_all_synced() {
  std::vector<Watcher*> all;
  all.reserve(synced_.size());
  synced_.for_each([&](void* entry) { all.push_back(static_cast<Watcher*>(entry)); });
  synced_.clear();
  const std::int64_t passed = cursor_;
  cursor_ = batch_.head;
  for (Watcher* watcher : all) {
    watcher->next = std::max(watcher->next, passed + 1);
    join_or_lag(*watcher);
  }
}

void WatchHub::on_room(Stream& stream) {
  while (Watcher* watcher = stream.parked.first()) {
    stream.parked.erase(*watcher);
    join_or_lag(*watcher);
    if (watcher->place == Watcher::Place::kParked) return;
  }
}

bool WatchHub::step(base::Instant now) {
  const bool more = advance();
  catch_up();
  request_history();
  send_due_progress(now);
  return more || !lagging_->empty();
}

// --- Synced watchers.

bool WatchHub::advance() {
  if (watcher_count_ == 0) return false;
  log_.take(reader_, cursor_ + 1, kSliceRevisions, options_.bytes_per_batch, batch_);
  // What was passed over concerns nobody here.
  if (batch_.epoch == epoch_) cursor_ = batch_.from - 1;
  if (batch_.epoch != epoch_ || batch_.first > cursor_ + 1) {
    // The store was replaced, or the log has lost what this hub had not seen: the store still has it.
    epoch_ = batch_.epoch;
    lag_all_synced();
    return false;
  }
  if (batch_.revisions.empty()) return false;
  match(synced_, batch_.revisions, false);
  cursor_ = batch_.revisions.back().revision();
  group_by_watcher();
  for (const Touched& touched : touched_) {
    Watcher& watcher = *touched.watcher;
    const std::size_t room = watcher.stream->sink.room();
    // More than its stream takes now is cut where it catches up.
    if (room >= touched.bytes || (room != 0 && touched.revisions == 1)) {
      deliver(touched, batch_.revisions, touched.last);
    } else {
      synced_.erase(watcher.range(), &watcher);
      watcher.next = batch_.revisions[by_watcher_[touched.first].revision].revision();
      join_or_lag(watcher);
    }
  }
  return cursor_ < batch_.head;
}

// --- Lagging watchers.

void WatchHub::catch_up() {
  if (lagging_->empty()) return;
  const std::int64_t compact_revision = store_.compact_revision();
  std::vector<Watcher*> group;
  std::int64_t from = cursor_;
  std::vector<std::pair<Stream*, WatchId>> compacted;
  for (std::size_t n = 0; n < options_.watchers_per_round && !lagging_->empty(); ++n) {
    Watcher& watcher = *lagging_->first();
    lagging_->erase(watcher);
    watcher.place = Watcher::Place::kNone;
    if (watcher.next < compact_revision) {
      compacted.emplace_back(watcher.stream, watcher.id);
    } else if (watcher.next > cursor_ || !watcher.stream->sink.has_room()) {
      join_or_lag(watcher);
    } else {
      group.push_back(&watcher);
      from = std::min(from, watcher.next);
    }
  }
  for (const auto& [stream, id] : compacted) {
    stream->sink.send({.watch_id = id, .revision = 0, .canceled = true, .compact_revision = compact_revision});
    stream->watchers.erase(id);
    stream->ended.insert(id);
    if (stream->ended.size() > Stream::kMaxEnded) stream->ended.erase(stream->ended.begin());
    forget(1);
  }
  if (group.empty()) return;

  log_.read(from, cursor_, options_.revisions_per_round, options_.bytes_per_batch, batch_);
  if (batch_.first > from) {
    // The log does not reach back to some of them.
    from = cursor_;
    std::erase_if(group, [&](Watcher* watcher) {
      if (watcher->next >= batch_.first) {
        from = std::min(from, watcher->next);
        return false;
      }
      watcher->place = Watcher::Place::kDistant;
      distant_->push_back(*watcher);
      return true;
    });
    if (group.empty()) return;
    log_.read(from, cursor_, options_.revisions_per_round, options_.bytes_per_batch, batch_);
  }
  if (batch_.revisions.empty()) {
    // Trimmed between the two looks: next time they are found to be distant.
    for (Watcher* watcher : group) join_or_lag(*watcher);
    return;
  }
  feed(group, batch_.revisions, batch_.revisions.back().revision(), batch_.head);
}

void WatchHub::request_history() {
  if (asked_ || distant_->empty()) return;
  std::int64_t from = distant_->first()->next;
  reading_.clear();
  while (!distant_->empty() && reading_.size() < options_.watchers_per_round) {
    Watcher& watcher = *distant_->first();
    distant_->erase(watcher);
    watcher.place = Watcher::Place::kReading;
    reading_.push_back(&watcher);
    from = std::min(from, watcher.next);
  }
  asked_ = true;
  store_.read_history(++ticket_, from);
}

void WatchHub::on_history(HistoryBatch batch) {
  if (!asked_ || batch.ticket != ticket_) return;
  asked_ = false;
  std::vector<Watcher*> group;
  for (Watcher* watcher : reading_) {
    if (!watcher) continue;
    watcher->place = Watcher::Place::kNone;
    group.push_back(watcher);
  }
  reading_.clear();
  // The store may be ahead of this hub's place in the log; what lies behind the cursor comes from the log.
  while (!batch.revisions.empty() && batch.revisions.back().revision() > cursor_) batch.revisions.pop_back();
  feed(group, batch.revisions, std::min(batch.covered_to, cursor_), batch.current_revision);
}

void WatchHub::feed(std::vector<Watcher*>& group, std::span<const RevisionEvents> revisions, std::int64_t covered_to,
                    std::int64_t header) {
  // Again for those whose response was full, from where it ended.
  while (!group.empty()) {
    WatcherSet set(random_.next());
    std::int64_t from = covered_to;
    for (Watcher* watcher : group) {
      set.insert(watcher->range(), watcher);
      from = std::min(from, watcher->next);
    }
    while (!revisions.empty() && revisions.front().revision() < from) revisions = revisions.subspan(1);
    match(set, revisions, true);
    group_by_watcher();
    std::vector<Watcher*> full;
    for (Watcher* watcher : group) {
      std::int64_t given_to = covered_to;
      if (watcher->pass == pass_) {
        const Touched& touched = touched_[watcher->slot];
        if (!watcher->stream->sink.has_room()) {
          // Filled by another watcher of the stream in this very round.
          join_or_lag(*watcher);
          continue;
        }
        deliver(touched, revisions, header);
        if (touched.cut != 0) given_to = touched.cut - 1;
      }
      watcher->next = std::max(watcher->next, given_to + 1);
      if (watcher->next <= covered_to && watcher->stream->sink.has_room()) full.push_back(watcher);
      else join_or_lag(*watcher);
    }
    group = std::move(full);
  }
}

// --- One pass: match all, then one delivery per watcher.

void WatchHub::match(const WatcherSet& set, std::span<const RevisionEvents> revisions, bool cut) {
  ++pass_;
  touched_.clear();
  matches_.clear();
  previous_.clear();
  for (std::uint32_t r = 0; r < revisions.size(); ++r) {
    const std::int64_t revision = revisions[r].revision();
    for (std::uint32_t e = 0; e < revisions[r].size(); ++e) {
      const Event event = revisions[r][e];
      set.match(event.key, [&](void* entry) {
        Watcher& watcher = *static_cast<Watcher*>(entry);
        if (revision < watcher.next || watcher.filtered(event)) return;
        if (watcher.pass != pass_) {
          watcher.pass = pass_;
          watcher.slot = static_cast<std::uint32_t>(touched_.size());
          touched_.push_back({.watcher = &watcher, .first = 0, .count = 0, .revisions = 0, .bytes = 0, .room = cut ? watcher.stream->sink.room() : 0, .last = 0, .cut = 0});
        }
        Touched& touched = touched_[watcher.slot];
        if (touched.cut != 0) return;
        if (touched.last != revision) {
          if (cut && (touched.revisions == options_.revisions_per_batch || touched.bytes >= std::min(options_.bytes_per_batch, touched.room))) {
            touched.cut = revision;
            return;
          }
          touched.last = revision;
          ++touched.revisions;
        }
        touched.bytes += event.encoded.size();
        ++touched.count;
        matches_.push_back({watcher.slot, r, e});
      });
    }
  }
}

void WatchHub::group_by_watcher() {
  std::uint32_t first = 0;
  for (Touched& touched : touched_) {
    touched.first = first;
    first += touched.count;
    touched.count = 0;
  }
  by_watcher_.resize(matches_.size());
  for (const Match& match : matches_) {
    Touched& touched = touched_[match.slot];
    by_watcher_[touched.first + touched.count++] = match;
  }
}

void WatchHub::deliver(const Touched& touched, std::span<const RevisionEvents> revisions, std::int64_t header) {
  Watcher& watcher = *touched.watcher;
  delivery_.clear();
  for (const Match& match : std::span(by_watcher_).subspan(touched.first, touched.count)) {
    const RevisionEvents& revision = revisions[match.revision];
    const Event event = revision[match.event];
    base::BytesView previous;
    if (watcher.prev_kv && !event.creates) previous = previous_value(revision, match.event);
    delivery_.push_back({&revision, event.encoded, previous});
  }
  watcher.quiet = false;
  events_sent_ += delivery_.size();
  watcher.stream->sink.send({.watch_id = watcher.id, .revision = header, .fragment = watcher.fragment, .events = delivery_});
}

base::BytesView WatchHub::previous_value(const RevisionEvents& revision, std::size_t event) {
  const auto [at, missing] = previous_.try_emplace({revision.revision(), event});
  if (missing) {
    if (auto value = store_.value_at(revision[event].key, revision.revision() - 1)) at->second = std::move(*value);
  }
  return at->second;
}

// --- Progress.

bool WatchHub::settled(const Watcher& watcher) const {
  return watcher.place == Watcher::Place::kSynced && watcher.next <= cursor_ + 1 && watcher.start_revision <= cursor_;
}

void WatchHub::send_progress(Stream& stream, WatchId id) { stream.sink.send({.watch_id = id, .revision = cursor_}); }

void WatchHub::request_progress(Stream& stream) {
  // What is published already counts: whoever asks after a write of his own wants to see it passed.
  while (advance()) {
  }
  const auto ready = [&](const auto& item) { return settled(item.second); };
  if (stream.watchers.empty() || !std::all_of(stream.watchers.begin(), stream.watchers.end(), ready)) return;
  send_progress(stream, kNoWatchId);
}

void WatchHub::send_due_progress(base::Instant now) {
  while (!progress_due_.empty() && progress_due_.begin()->first <= now) {
    const std::vector<Stream*> due = std::move(progress_due_.begin()->second);
    progress_due_.erase(progress_due_.begin());
    for (Stream* stream : due) {
      for (auto& [id, watcher] : stream->watchers) {
        if (watcher.progress_notify && watcher.quiet && settled(watcher)) send_progress(*stream, id);
        watcher.quiet = true;
      }
      stream->progress_at = now + stream->progress_interval;
      progress_due_[stream->progress_at].push_back(stream);
    }
  }
}

std::optional<base::Instant> WatchHub::next_progress() const {
  if (progress_due_.empty()) return std::nullopt;
  return progress_due_.begin()->first;
}

// --- Fragments.

std::vector<std::size_t> fragment_ends(std::span<const std::size_t> event_bytes, std::size_t fixed_bytes, std::size_t limit) {
  constexpr std::size_t kFlagBytes = 2;
  std::size_t total = fixed_bytes;
  for (const std::size_t bytes : event_bytes) total += bytes;
  if (total < limit || event_bytes.size() < 2) return {event_bytes.size()};
  std::vector<std::size_t> ends;
  std::size_t begin = 0, piece = fixed_bytes + kFlagBytes;
  for (std::size_t i = 0; i < event_bytes.size(); ++i) {
    if (i > begin && piece + event_bytes[i] >= limit) {
      ends.push_back(i);
      begin = i;
      piece = fixed_bytes + kFlagBytes;
    }
    piece += event_bytes[i];
  }
  ends.push_back(event_bytes.size());
  return ends;
}

}  // namespace etcdpp::mvcc
