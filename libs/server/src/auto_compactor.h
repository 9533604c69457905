#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/logger.h>
#include <etcdpp/base/result.h>

namespace etcdpp::server {

/// Decides when history is to be compacted without anybody's asking, and up to which revision: etcd's two policies
/// (--auto-compaction-mode, --auto-compaction-retention).
///
/// Periodic, for a time R: the revision is noted each tenth of min(R, 1h), and as many notes are kept as cover R. The first
/// compaction comes after R, later ones each min(R, 1h), always to the oldest note, unless it is the one that was compacted
/// last; one that failed is tried again at the next look.
/// Revision, for a number N: each five minutes, to the current revision − N.
///
/// A member that does not lead goes on noting but compacts nothing, so that a new leader knows the past.
///
/// Pure: time and revision are arguments. The owner calls step() with each tick, proposes what it returns, and reports the
/// outcome by finished(); meanwhile the policy stands still. Threads: one.
class AutoCompactor {
 public:
  enum class Mode { kPeriodic, kRevision };

  /// `retention` is R, or N as a count of nanoseconds; more than zero.
  AutoCompactor(Mode mode, base::Duration retention, base::Instant now, std::int64_t revision, base::Logger& logger);

  /// A revision to compact to, if it is time.
  std::optional<std::int64_t> step(base::Instant now, std::int64_t revision, bool leads);
  /// The compaction that step() asked for is over; one that somebody else did already counts as done.
  void finished(base::Instant now, std::int64_t revision, const base::Result<>& outcome);

 private:
  std::optional<std::int64_t> due(base::Instant now, std::int64_t revision) const;
  void note(std::int64_t revision);

  const Mode mode_;
  const base::Duration retention_;
  base::Logger& logger_;
  const base::Duration interval_;        // between two looks
  const base::Duration compact_interval_;  // between two compactions, after the first
  const std::size_t kept_notes_;

  base::Instant wake_;
  std::deque<std::int64_t> notes_;
  bool first_ = true;
  base::Instant last_success_;
  std::int64_t last_revision_ = 0;
  std::optional<std::int64_t> running_;
  base::Instant started_;
};

}  // namespace etcdpp::server
