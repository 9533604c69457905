#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/watch_hub.h>

namespace etcdpp::mvcc {

/// An event as a client would see it.
struct SeenEvent {
  std::int64_t revision;
  bool tombstone;
  std::string key, value, previous;
  bool has_previous;
  friend bool operator==(const SeenEvent&, const SeenEvent&) = default;
};

inline SeenEvent decode_event(base::BytesView encoded, base::BytesView previous) {
  SeenEvent seen{};
  if (encoded.starts_with(std::string_view("\x08\x01", 2))) {
    seen.tombstone = true;
    encoded.remove_prefix(2);
  }
  REQUIRE(encoded.front() == '\x12');
  encoded.remove_prefix(1);
  std::size_t length = 0;
  for (unsigned shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(encoded.front());
    encoded.remove_prefix(1);
    length |= static_cast<std::size_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  REQUIRE(encoded.size() == length);
  const auto kv = decode_key_value(encoded);
  REQUIRE(kv);
  seen.revision = kv->mod_revision;
  seen.key = kv->key;
  seen.value = kv->value;
  seen.has_previous = !previous.empty();
  if (seen.has_previous) {
    const auto old = decode_key_value(previous);
    REQUIRE(old);
    seen.previous = old->value;
  }
  return seen;
}

/// One response as a client would see it.
struct SeenResponse {
  WatchId id;
  std::int64_t revision;
  bool created, canceled, fragment;
  std::int64_t compact_revision;
  std::string reason;
  std::vector<SeenEvent> events;
};

/// A client that takes `responses_taken` responses with events, of `bytes_taken` each, before it has to be drained.
struct FakeSink final : WatchSink {
  std::vector<SeenResponse> responses;
  std::size_t waiting = 0;
  std::size_t responses_taken = SIZE_MAX;
  std::size_t bytes_taken = SIZE_MAX;

  std::size_t room() const override { return waiting < responses_taken ? bytes_taken : 0; }
  void send(const WatchDelivery& delivery) override {
    SeenResponse response{delivery.watch_id, delivery.revision,         delivery.created,
                          delivery.canceled, delivery.fragment,         delivery.compact_revision,
                          std::string(delivery.cancel_reason), {}};
    for (const WatchEvent& event : delivery.events) response.events.push_back(decode_event(event.encoded, event.prev_kv));
    if (!response.events.empty()) ++waiting;
    responses.push_back(std::move(response));
  }
  std::vector<SeenResponse> take() { return std::exchange(responses, {}); }
};

/// The key space with all its history, kept simply: one map per revision.
class FakeStore final : public WatchStore {
 public:
  struct Change {
    bool tombstone, creates;
    std::string key, value;
  };
  explicit FakeStore(const EventLogOptions& options = {}) : log(1, options) { states_.push_back({}), states_.push_back({}); }

  EventLog log;
  std::map<std::int64_t, std::vector<Change>> history;
  std::int64_t compacted = -1;
  std::vector<std::pair<std::uint64_t, std::int64_t>> requests;
  std::size_t history_revisions = 1000;

  std::int64_t revision() const { return static_cast<std::int64_t>(states_.size()) - 1; }
  const std::map<std::string, std::string>& state(std::int64_t revision) const { return states_[static_cast<std::size_t>(revision)]; }

  /// Applies a transaction: a key without value is deleted (if it is there). Nothing is published.
  void apply(const std::vector<std::pair<std::string, std::optional<std::string>>>& changes) {
    auto state = states_.back();
    std::vector<Change> made;
    for (const auto& [key, value] : changes) {
      if (!value && !state.contains(key)) continue;
      made.push_back({!value, value && !state.contains(key), key, value.value_or("")});
      if (value) state[key] = *value;
      else state.erase(key);
    }
    if (made.empty()) return;
    states_.push_back(std::move(state));
    std::int64_t sub = 0;
    for (const Change& change : made) {
      const base::Bytes kv = encoded(revision(), change);
      log.on_change({.revision = {revision(), sub++}, .tombstone = change.tombstone, .creates = change.creates, .key = change.key, .key_value = kv});
    }
    log.on_end(revision());
    history[revision()] = std::move(made);
  }
  void publish() { log.publish(revision()); }
  void put(const std::string& key, const std::string& value) {
    apply({{key, value}});
    publish();
  }

  std::int64_t compact_revision() const override { return compacted; }
  std::optional<base::Bytes> value_at(base::BytesView key, std::int64_t at) override {
    if (at < compacted) return std::nullopt;
    const auto found = state(at).find(std::string(key));
    if (found == state(at).end()) return std::nullopt;
    base::Bytes bytes;
    append_encoded({.key = key, .value = found->second}, bytes);
    return bytes;
  }
  void read_history(std::uint64_t ticket, std::int64_t from) override { requests.emplace_back(ticket, from); }

  /// What the oldest request would be answered now.
  HistoryBatch answer() {
    const auto [ticket, from] = requests.front();
    requests.erase(requests.begin());
    HistoryBatch batch{.ticket = ticket, .revisions = {}, .covered_to = 0, .current_revision = log.head()};
    if (from < compacted) return batch;
    batch.covered_to = log.head();
    for (auto at = history.lower_bound(from); at != history.end() && at->first <= log.head(); ++at) {
      if (batch.revisions.size() == history_revisions) {
        batch.covered_to = at->first - 1;
        break;
      }
      RevisionEventsBuilder builder;
      for (const Change& change : at->second) builder.add(change.key, encoded(at->first, change), change.tombstone, change.creates);
      batch.revisions.push_back(builder.take(at->first));
    }
    return batch;
  }

 private:
  static base::Bytes encoded(std::int64_t revision, const Change& change) {
    base::Bytes kv;
    append_encoded({.key = change.key, .create_revision = change.tombstone ? 0 : 1, .mod_revision = revision, .value = change.value}, kv);
    return kv;
  }
  std::vector<std::map<std::string, std::string>> states_;
};

struct FakeListener final : EventLog::Listener {
  int calls = 0;
  void on_new_events() override { ++calls; }
};

}  // namespace etcdpp::mvcc
