#include <etcdpp/mvcc/event_log.h>

#include <algorithm>

namespace etcdpp::mvcc {

EventLog::Reader::Reader(EventLog& log, Listener& listener) : log_(log), listener_(listener) {
  wanted_.add_all();
  std::lock_guard lock(log_.mutex_);
  log_.readers_.push_back(this);
}

EventLog::Reader::~Reader() {
  std::lock_guard lock(log_.mutex_);
  std::erase(log_.readers_, this);
}

void EventLog::Reader::set_active(bool active) {
  std::lock_guard lock(log_.mutex_);
  active_ = active;
  wants_wake_ = true;
  taken_ = log_.head();
}

void EventLog::Reader::want(KeyFilter keys) {
  std::lock_guard lock(log_.mutex_);
  wanted_ = std::move(keys);
}

EventLog::Reader::Place EventLog::Reader::want_also(base::BytesView key) {
  std::lock_guard lock(log_.mutex_);
  wanted_.add(key);
  return {taken_, log_.epoch_};
}

EventLog::Reader::Place EventLog::Reader::want_all() {
  std::lock_guard lock(log_.mutex_);
  wanted_.add_all();
  return {taken_, log_.epoch_};
}

EventLog::EventLog(std::int64_t revision, const EventLogOptions& options)
    : options_(options), head_(revision), first_(revision + 1) {}

void EventLog::on_change(const Change& change) {
  building_.add(change.key, change.key_value, change.tombstone, change.creates);
}

void EventLog::on_end(std::int64_t main) {
  RevisionEvents events = building_.take(main);
  // Too much to be kept or sent: a gap in its place, behind which the log begins anew.
  if (!events || events.memory_bytes() > options_.max_bytes) events = building_.take(main);
  ended_.push_back(std::move(events));
}

void EventLog::publish(std::int64_t revision) {
  // Once for all readers, and outside of the mutex.
  key_hashes_.clear();
  bool gap = ended_.empty();
  for (const RevisionEvents& events : ended_) {
    gap |= events.size() == 0;
    for (std::size_t i = 0; i < events.size(); ++i) key_hashes_.push_back(KeyFilter::hash(events[i].key));
  }
  std::lock_guard lock(mutex_);
  const std::int64_t before = head_.load(std::memory_order_relaxed);
  for (RevisionEvents& events : ended_) {
    const std::int64_t main = events.revision();
    if (events.size() == 0 || main != first_ + static_cast<std::int64_t>(revisions_.size())) {
      revisions_.clear();
      bytes_ = 0;
      first_ = events.size() == 0 ? main + 1 : main;
      if (events.size() == 0) continue;
    }
    bytes_ += events.memory_bytes();
    revisions_.push_back(std::move(events));
  }
  ended_.clear();
  if (revisions_.empty()) first_ = revision + 1;
  head_.store(revision, std::memory_order_release);
  if (revision != before) {
    for (Reader* reader : readers_) {
      if (!reader->active_) continue;
      if (!gap && reader->taken_ == before && !wanted(*reader)) reader->taken_ = revision;
      else if (std::exchange(reader->wants_wake_, false)) reader->listener_.on_new_events();
    }
  }
  trim();
}

bool EventLog::wanted(const Reader& reader) const {
  return std::any_of(key_hashes_.begin(), key_hashes_.end(), [&](std::uint64_t hash) { return reader.wanted_.may_want(hash); });
}

void EventLog::reset(std::int64_t revision) {
  std::lock_guard lock(mutex_);
  ended_.clear();
  revisions_.clear();
  bytes_ = 0;
  first_ = revision + 1;
  head_.store(revision, std::memory_order_release);
  ++epoch_;
  for (Reader* reader : readers_) {
    reader->taken_ = revision;
    if (reader->active_ && std::exchange(reader->wants_wake_, false)) reader->listener_.on_new_events();
  }
}

void EventLog::trim() {
  std::int64_t taken = head();
  for (const Reader* reader : readers_) {
    if (reader->active_) taken = std::min(taken, reader->taken_);
  }
  while (!revisions_.empty() && (bytes_ > options_.max_bytes || (bytes_ > options_.history_bytes && first_ <= taken))) {
    bytes_ -= revisions_.front().memory_bytes();
    revisions_.pop_front();
    ++first_;
  }
}

void EventLog::copy(std::int64_t from, std::int64_t to, std::size_t max_revisions, std::size_t max_bytes, Batch& batch) const {
  batch.revisions.clear();
  batch.from = from;
  batch.first = first_;
  batch.head = head();
  batch.epoch = epoch_;
  if (from < first_) return;
  std::size_t bytes = 0;
  to = std::min(to, batch.head);
  for (auto at = static_cast<std::size_t>(from - first_); at < revisions_.size() && batch.revisions.size() < max_revisions; ++at) {
    if (first_ + static_cast<std::int64_t>(at) > to || bytes >= max_bytes) break;
    bytes += revisions_[at].memory_bytes();
    batch.revisions.push_back(revisions_[at]);
  }
}

void EventLog::read(std::int64_t from, std::int64_t to, std::size_t max_revisions, std::size_t max_bytes, Batch& batch) const {
  std::lock_guard lock(mutex_);
  copy(from, to, max_revisions, max_bytes, batch);
}

void EventLog::take(Reader& reader, std::int64_t from, std::size_t max_revisions, std::size_t max_bytes, Batch& batch) {
  std::lock_guard lock(mutex_);
  copy(std::max(from, reader.taken_ + 1), head(), max_revisions, max_bytes, batch);
  // What is handed out is the reader's own; what it cannot have any more it has lost.
  reader.taken_ = batch.revisions.empty() ? batch.head : batch.revisions.back().revision();
  reader.wants_wake_ = reader.taken_ == batch.head;
}

std::size_t EventLog::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace etcdpp::mvcc
