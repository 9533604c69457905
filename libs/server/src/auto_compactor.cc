#include "auto_compactor.h"

#include <algorithm>
#include <utility>

#include <etcdpp/config/duration.h>
#include <etcdpp/mvcc/errc.h>

namespace etcdpp::server {

namespace {

constexpr base::Duration kLongestInterval = std::chrono::hours(1);
constexpr base::Duration kRevisionInterval = std::chrono::minutes(5);
constexpr int kNotesPerInterval = 10;

}  // namespace

AutoCompactor::AutoCompactor(Mode mode, base::Duration retention, base::Instant now, std::int64_t revision, base::Logger& logger)
    : mode_(mode),
      retention_(retention),
      logger_(logger),
      interval_(mode == Mode::kRevision ? kRevisionInterval
                                        : std::max(base::Duration(1), std::min(retention, kLongestInterval) / kNotesPerInterval)),
      compact_interval_(std::min(retention, kLongestInterval)),
      kept_notes_(static_cast<std::size_t>(retention / interval_) + 1),
      wake_(now + interval_),
      last_success_(now) {
  note(revision);
}

void AutoCompactor::note(std::int64_t revision) {
  if (mode_ == Mode::kRevision) return;
  notes_.push_back(revision);
  if (notes_.size() > kept_notes_) notes_.pop_front();
}

std::optional<std::int64_t> AutoCompactor::due(base::Instant now, std::int64_t revision) const {
  if (mode_ == Mode::kRevision) {
    const std::int64_t target = revision - retention_.count();
    if (target <= 0 || target == last_revision_) return std::nullopt;
    return target;
  }
  if (now - last_success_ < (first_ ? retention_ : compact_interval_) || notes_.front() == last_revision_) return std::nullopt;
  return notes_.front();
}

std::optional<std::int64_t> AutoCompactor::step(base::Instant now, std::int64_t revision, bool leads) {
  if (running_ || now < wake_) return std::nullopt;
  if (leads) running_ = due(now, revision);
  if (running_) {
    started_ = now;
    first_ = false;
    if (mode_ == Mode::kPeriodic)
      logger_.info("starting auto periodic compaction",
                   {{"revision", *running_}, {"compact-period", config::go_duration(retention_)}});
    else
      logger_.info("starting auto revision compaction",
                   {{"revision", *running_}, {"revision-compaction-retention", retention_.count()}});
    return running_;
  }
  note(revision);
  // Ticks come a little late; notes do not drift for it.
  wake_ = wake_ + interval_ > now ? wake_ + interval_ : now + interval_;
  return std::nullopt;
}

void AutoCompactor::finished(base::Instant now, std::int64_t revision, const base::Result<>& outcome) {
  const std::int64_t target = *std::exchange(running_, std::nullopt);
  const bool done = outcome || outcome.error().code == mvcc::Errc::kCompacted;
  const std::string took = config::go_duration(now - started_);
  const std::string period = config::go_duration(retention_);
  const std::string interval = config::go_duration(interval_);
  const std::string why = done ? std::string() : outcome.error().message();
  if (mode_ == Mode::kPeriodic) {
    if (done)
      logger_.info("completed auto periodic compaction", {{"revision", target}, {"compact-period", period}, {"took", took}});
    else
      logger_.warn("failed auto periodic compaction",
                   {{"revision", target}, {"compact-period", period}, {"retry-interval", interval}, {"error", why}});
  } else {
    if (done)
      logger_.info("completed auto revision compaction",
                   {{"revision", target}, {"revision-compaction-retention", retention_.count()}, {"took", took}});
    else
      logger_.warn("failed auto revision compaction", {{"revision", target},
                                                       {"revision-compaction-retention", retention_.count()},
                                                       {"retry-interval", interval},
                                                       {"error", why}});
  }
  if (done) {
    last_revision_ = target;
    last_success_ = now;
  }
  note(revision);
  wake_ = now + interval_;
}

}  // namespace etcdpp::server
