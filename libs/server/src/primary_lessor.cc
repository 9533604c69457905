#include "primary_lessor.h"

#include <algorithm>
#include <utility>

#include <etcdpp/base/bytes.h>

#include "errc.h"

namespace etcdpp::server {

namespace {

/// Revocations and checkpoints that are proposed and not yet applied: some hundreds share a raft batch, and a put that comes
/// behind them waits for no more than these.
constexpr std::size_t kMaxBytesInFlight = 32 << 10;
/// What a proposal costs beside its request.
constexpr std::size_t kEntryBytes = 24;
constexpr std::size_t kRevocationsAtOnce = 128;
/// As etcd: checkpoints in one entry.
constexpr std::size_t kCheckpointsAtOnce = 1000;

}  // namespace

void PrimaryLessor::promote(std::uint64_t term) {
  term_ = term;
  // That its first entry is applied says when nothing: this may be long after it was committed.
  confirmed_at_ = base::Instant::min();
  ports_.lessor.promote(options_.election_timeout, ports_.clock.now());
  for (Waiting& waiting : std::exchange(waiting_for_primary_, {})) waiting.then({});
}

void PrimaryLessor::demote() {
  if (!ports_.lessor.primary()) return;
  ports_.lessor.demote();
  // Whoever leads next decides about them; if it is this member again, it answers.
  for (auto& [id, renewal] : std::exchange(waiting_for_revoke_, {})) renew(std::move(renewal));
  for (Renewal& renewal : std::exchange(waiting_for_confirmation_, {})) renew(std::move(renewal));
}

void PrimaryLessor::tick() {
  const base::Instant now = ports_.clock.now();
  for (std::size_t i = 0; i < waiting_for_primary_.size();) {
    if (waiting_for_primary_[i].deadline > now) {
      ++i;
      continue;
    }
    auto then = std::move(waiting_for_primary_[i].then);
    waiting_for_primary_.erase(waiting_for_primary_.begin() + static_cast<std::ptrdiff_t>(i));
    then(base::Error(ports_.member.has_leader() ? Errc::kTimeout : Errc::kNoLeader));
  }
  if (!ports_.lessor.primary()) return;
  propose_due();
}

// --- Renewals.

void PrimaryLessor::renew(lease::LeaseId id, std::move_only_function<void(base::Result<std::int64_t>)> done) {
  renew(Renewal{.id = id, .done = std::move(done), .deadline = ports_.clock.now() + options_.request_timeout});
}

void PrimaryLessor::renew(Renewal renewal) {
  if (!ports_.lessor.primary()) {
    wait_for_primary([this, renewal = std::move(renewal)](base::Result<> primary) mutable {
      if (!primary) return renewal.done(primary.error());
      renew(std::move(renewal));
    });
    return;
  }
  const base::Instant now = ports_.clock.now();
  const bool trusted = confirmed_at_ >= now - options_.election_timeout;
  if (!trusted) waiting_for_confirmation_.push_back(std::move(renewal));
  if (confirmed_at_ < now - options_.election_timeout / 2) confirm_leadership();
  if (!trusted) return;
  if (!renewal.applied && (!options_.fast_keep_alive || !ports_.lessor.exists(renewal.id))) {
    ports_.when_applied([this, renewal = std::move(renewal)](base::Result<> applied) mutable {
      if (!applied) return renewal.done(applied.error());
      renewal.applied = true;
      renew(std::move(renewal));
    });
    return;
  }
  // The clock is read here, where the promise is made.
  const auto renewed = ports_.lessor.renew(renewal.id, now, renewal.cleared);
  if (!renewed) return renewal.done(renewed.error().code == lease::Errc::kNotFound ? base::Result<std::int64_t>(0) : renewed.error());
  switch (renewed->outcome) {
    case lease::Lessor::Renewal::kRenewed:
      ports_.metrics.leases_renewed.add(1);
      return renewal.done(renewed->ttl_seconds);
    case lease::Lessor::Renewal::kExpired: waiting_for_revoke_.emplace(renewal.id, std::move(renewal)); return;
    case lease::Lessor::Renewal::kCheckpointFirst: return clear_checkpoint(std::move(renewal));
  }
}

void PrimaryLessor::confirm_leadership() {
  if (confirming_) return;
  confirming_ = true;
  ports_.confirm_leadership([this, asked_at = ports_.clock.now(), term = term_](const base::Result<>& confirmed) {
    confirming_ = false;
    if (confirmed && term == term_ && ports_.lessor.primary()) confirmed_at_ = asked_at;
    if (!confirmed) ports_.logger.warn("failed to check current member's leadership", {{"error", confirmed.error().message()}});
    const base::Instant now = ports_.clock.now();
    for (Renewal& renewal : std::exchange(waiting_for_confirmation_, {})) {
      // Asked again by the next one, unless its time is over.
      if (confirmed && renewal.deadline > now) renew(std::move(renewal));
      else renewal.done(base::Error(lease::Errc::kNotPrimary));
    }
  });
}

void PrimaryLessor::clear_checkpoint(Renewal renewal) {
  etcdserverpb::LeaseCheckpointRequest request;
  request.add_checkpoints()->set_id(renewal.id);
  renewal.cleared = ports_.lessor.offered();
  propose(RequestField::kLeaseCheckpoint, request, [this, renewal = std::move(renewal)](const base::Result<ResponseMessage>& applied) mutable {
    if (!applied) return renewal.done(applied.error());
    renew(std::move(renewal));
  });
}

void PrimaryLessor::revoked(lease::LeaseId id) {
  const auto [first, last] = waiting_for_revoke_.equal_range(id);
  if (first == last) return;
  std::vector<Renewal> ended;
  for (auto it = first; it != last; ++it) ended.push_back(std::move(it->second));
  waiting_for_revoke_.erase(first, last);
  for (Renewal& renewal : ended) renewal.done(0);
}

void PrimaryLessor::when_primary(std::move_only_function<void(base::Result<>)> then) {
  wait_for_primary([this, then = std::move(then)](base::Result<> primary) mutable {
    if (!primary) return then(std::move(primary));
    ports_.when_applied(std::move(then));
  });
}

void PrimaryLessor::wait_for_primary(std::move_only_function<void(base::Result<>)> then) {
  if (ports_.lessor.primary()) return then({});
  if (ports_.member.has_leader() && !ports_.member.is_leader()) return then(base::Error(lease::Errc::kNotPrimary));
  waiting_for_primary_.push_back({ports_.clock.now() + options_.request_timeout, std::move(then)});
}

// --- What runs out, and what is left.

template <typename Then>
void PrimaryLessor::propose(RequestField field, const google::protobuf::MessageLite& request, Then then) {
  const std::string bytes = request.SerializeAsString();
  const std::size_t cost = bytes.size() + kEntryBytes;
  bytes_in_flight_ += cost;
  ports_.propose(term_, field, bytes, [this, cost, then = std::move(then)](base::Result<ResponseMessage> applied) mutable {
    bytes_in_flight_ -= cost;
    if (proposing_ && !applied) refused_ = true;
    then(applied);
    // The next ones follow when half of them are done, not when the next tick comes.
    if (!proposing_ && bytes_in_flight_ <= kMaxBytesInFlight / 2 && ports_.lessor.primary()) propose_due();
  });
}

void PrimaryLessor::propose_due() {
  proposing_ = true;
  refused_ = false;
  propose_revocations();
  propose_checkpoints();
  proposing_ = false;
}

void PrimaryLessor::propose_revocations() {
  while (!refused_ && bytes_in_flight_ < kMaxBytesInFlight) {
    const auto expired = ports_.lessor.take_expired(ports_.clock.now(), kRevocationsAtOnce);
    for (const lease::LeaseId id : expired) {
      etcdserverpb::LeaseRevokeRequest request;
      request.set_id(id);
      propose(RequestField::kLeaseRevoke, request, [this, id](const base::Result<ResponseMessage>& applied) {
        if (applied) return ports_.metrics.leases_expired.add(1);
        // Somebody revoked it meanwhile; otherwise it comes again after the recheck interval.
        if (applied.error().code == lease::Errc::kNotFound) return;
        ports_.logger.warn("failed to revoke lease",
                           {{"lease-id", base::hex(static_cast<std::uint64_t>(id))}, {"error", applied.error().message()}});
      });
    }
    if (expired.size() < kRevocationsAtOnce) return;
  }
}

void PrimaryLessor::propose_checkpoints() {
  while (!refused_ && bytes_in_flight_ < kMaxBytesInFlight) {
    const auto due = ports_.lessor.take_checkpoints(ports_.clock.now(), kCheckpointsAtOnce);
    if (due.empty()) return;
    etcdserverpb::LeaseCheckpointRequest request;
    for (const lease::Lessor::Checkpoint& checkpoint : due) {
      etcdserverpb::LeaseCheckpoint& added = *request.add_checkpoints();
      added.set_id(checkpoint.id);
      added.set_remaining_ttl(checkpoint.remaining_ttl_seconds);
    }
    propose(RequestField::kLeaseCheckpoint, request, [this](const base::Result<ResponseMessage>& applied) {
      if (!applied) ports_.logger.warn("failed to checkpoint leases", {{"error", applied.error().message()}});
    });
  }
}

}  // namespace etcdpp::server
