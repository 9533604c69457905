#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <etcdpp/base/clock.h>

#include <mvccpb/kv.pb.h>

#include <request_codec.h>

namespace etcdpp::sim {

/// A write that a client asked for.
struct Write {
  std::uint64_t id = 0;  ///< The request's in the log.
  server::RequestField field{};
  std::string request;
  base::Instant asked_at{};
  std::int64_t acknowledged_before = 0;  ///< Highest revision in any answer when it was asked for.
  /// Answered with an outcome: the entry was applied. Without: unknown (no answer, or "timed out").
  bool answered = false;
  std::error_code error;
  std::string response;
};

/// A read that was answered.
struct Read {
  std::string key;
  std::string range_end;
  std::int64_t requested = 0;  ///< 0: the current revision.
  std::int64_t limit = 0;
  std::int64_t acknowledged_before = 0;
  std::error_code error;
  std::int64_t revision = 0;  ///< Of the header.
  std::string response;       ///< A RangeResponse's bytes without header.
};

/// A hash of the store, as a member gave it.
struct Hash {
  std::int64_t revision = 0;
  std::int64_t compact_revision = 0;
  std::uint32_t hash = 0;
};

/// A watcher over all its lives, and what it was sent.
struct Watch {
  std::string key;
  std::string range_end;
  bool prev_kv = false;
  bool no_put = false;
  bool no_delete = false;
  bool progress_notify = false;
  /// The first revision that it is to be sent; 0: not created yet.
  std::int64_t first = 0;
  /// Everything below was sent, or does not concern it; where it goes on after a crash. 0: from now on.
  std::int64_t next = 0;
  std::vector<mvccpb::Event> events;
  bool over = false;
  /// Ended by a compaction at this revision.
  std::int64_t compacted = 0;

  void told(std::int64_t revision) {
    if (first != 0) next = std::max(next, revision + 1);
  }
};

/// A lease that this member no longer has.
struct LeaseEnd {
  std::int64_t id = 0;
  base::Instant at{};
};

/// What the clients saw and what an observer beside the member noticed, over all crashes of a run. Only what had left the
/// process is in here.
struct History {
  std::vector<Write> writes;
  std::vector<Read> reads;
  std::vector<Hash> hashes;
  std::vector<LeaseEnd> lease_ends;
  std::vector<Watch> watches;
  /// What was wrong with an answer by itself.
  std::vector<std::string> watch_faults;
  /// When the newest grant or renewal that was answered had been asked for, with the TTL answered.
  struct Promise {
    base::Instant asked_at{};
    std::int64_t ttl_seconds = 0;
  };
  std::map<std::int64_t, Promise> lease_promises;
  /// How often each was asked for.
  std::map<std::int64_t, int> grants_asked;
  /// When a client asked for its end.
  std::map<std::int64_t, base::Instant> revocations;
  std::int64_t highest_revision = 1;
  std::int64_t highest_compaction = -1;
  /// The highest index that the member had applied before it last ended.
  std::uint64_t applied_index = 0;

  void saw(std::int64_t revision) { highest_revision = std::max(highest_revision, revision); }
};

}  // namespace etcdpp::sim
