#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/clock.h>
#include <etcdpp/base/result.h>
#include <etcdpp/lease/deadline_heap.h>
#include <etcdpp/lease/errc.h>
#include <etcdpp/lease/lease_row.h>

namespace etcdpp::lease {

/// Where the lessor's rows go: the server plugs the write buffer of the entry being applied in.
class LeaseRows {
 public:
  virtual ~LeaseRows() = default;
  virtual void put(base::BytesView key, base::BytesView value) = 0;
  virtual void erase(base::BytesView key) = 0;
};

struct LessorOptions {
  base::Duration heartbeat_interval = std::chrono::milliseconds(100);
  int election_ticks = 10;
  /// Feature gate LeaseCheckpoint: whether a primary offers checkpoints. Applying one works either way.
  bool checkpoint = false;
  base::Duration checkpoint_interval = std::chrono::minutes(5);
  /// After this long a lease that was handed out as expired is handed out again, in case its revocation failed (etcd:
  /// the request timeout, 5 s + 2 elections).
  base::Duration recheck_interval = std::chrono::seconds(7);
  /// On promote, at most this many leases may run out in any one second (from 1,000 leases on).
  std::size_t spread_per_second = 750;
};

/// The leases of this member and what hangs on them: grant, renew, revoke, attach, detach, expiry, checkpoint,
/// promote, demote.
///
/// A pure state machine that the apply loop owns: committed entries call grant, revoke, attach, detach and checkpoint;
/// client calls, ticks and leadership reach the loop as messages and call renew, time_to_live, take_expired,
/// take_checkpoints, promote and demote.
///
/// Threads: one owner. Time: an argument of each call; a renewal must be given the monotonic clock as read when the
/// renewal is processed and leadership is confirmed, expiry may be given an older reading.
/// Durability: ID, TTL and remaining TTL go to LeaseRows inside the call; keys are attached again by the store's restore.
/// Only the primary (the leader that has applied the first entry of its term) has expiry times; elsewhere a lease lives
/// until an entry revokes it. Errors: errc.h; a refused call changes nothing.
/// etcd: server/lease. Differences: renewing never moves the heap; revocations are not limited to 1,000 a second.
class Lessor {
 public:
  static constexpr std::int64_t kMaxTtlSeconds = 9'000'000'000;

  Lessor(const LessorOptions& options, LeaseRows& rows);
  Lessor(const Lessor&) = delete;
  Lessor& operator=(const Lessor&) = delete;
  ~Lessor();

  // --- Called by apply.

  /// Persists the lease and returns its TTL, raised to the minimum. kNotFound for id 0, kTtlTooLarge, kAlreadyExists.
  base::Result<std::int64_t> grant(LeaseId id, std::int64_t ttl_seconds, base::Instant now);
  /// Removes the lease, its row and its attachments. Returns the keys that were attached, in byte order: the caller
  /// deletes them from the store in one transaction of the same entry.
  base::Result<std::vector<base::Bytes>> revoke(LeaseId id);
  /// Hangs `key` on the lease, taking it off the one it hung on. kNotFound: nothing was changed (check with exists()
  /// before the put is written). Id 0 detaches.
  base::Result<> attach(LeaseId id, base::BytesView key);
  /// Takes `key` off whatever lease it hangs on.
  void detach(base::BytesView key);
  /// Notes the remaining TTL (0 clears it); `persist` as the cluster version or the feature gate says.
  base::Result<> checkpoint(LeaseId id, std::int64_t remaining_ttl_seconds, bool persist, base::Instant now);
  /// At start or from a snapshot, into an empty lessor: one row of the bucket. A TTL under this member's minimum is raised.
  base::Result<> restore_row(base::BytesView key, base::BytesView value);

  // --- Asked by anyone in the loop.

  bool exists(LeaseId id) const { return leases_.contains(id); }
  /// 0 if the key hangs on none.
  LeaseId lease_of(base::BytesView key) const;
  std::size_t size() const { return leases_.size(); }
  std::size_t attached_keys() const { return items_.size(); }
  /// Attached keys in byte order; empty for an unknown lease.
  std::vector<base::Bytes> keys(LeaseId id) const;
  /// Every id, the one that runs out first in front, then by id.
  std::vector<LeaseId> leases() const;
  std::int64_t min_ttl_seconds() const { return min_ttl_seconds_; }

  struct TimeToLive {
    /// Whole seconds left, rounded towards zero; negative once expired and not yet revoked.
    std::int64_t ttl_seconds;
    std::int64_t granted_ttl_seconds;
  };
  /// kNotFound; kNotPrimary, because only the primary knows.
  base::Result<TimeToLive> time_to_live(LeaseId id, base::Instant now) const;

  // --- The primary's part.

  bool primary() const { return primary_; }
  /// Every lease gets its remaining (or whole) TTL from now, plus `extend` (the election timeout); pile-ups are spread.
  void promote(base::Duration extend, base::Instant now);
  /// Expiry times are forgotten.
  void demote();

  enum class Renewal {
    kRenewed,          ///< the whole TTL again from `now`
    kExpired,          ///< too late: answer TTL 0 once revoke() has removed it, or kNotPrimary after demote()
    kCheckpointFirst,  ///< a checkpoint of 0 must be applied first; then call again with what offered() was before
  };
  struct Renewed {
    Renewal outcome;
    std::int64_t ttl_seconds;
  };
  /// kNotPrimary; kNotFound. `cleared`: a checkpoint of 0 that was proposed after offered() had said so has been applied.
  ///
  /// A checkpoint that was offered before a renewal and is applied after it would make the next leader count from what
  /// was left then. So after an offer the renewal's own checkpoint has to go behind it into the log.
  base::Result<Renewed> renew(LeaseId id, base::Instant now, std::uint64_t cleared = 0);
  /// Counts what take_checkpoints() has handed out.
  std::uint64_t offered() const { return offered_; }

  /// Up to `max` leases whose time has passed, for the caller to propose LeaseRevoke. Each comes again after
  /// recheck_interval while it still exists. Empty unless primary.
  std::vector<LeaseId> take_expired(base::Instant now, std::size_t max);
  /// When take_expired may next have something; nullopt if never.
  std::optional<base::Instant> next_expiry() const;

  struct Checkpoint {
    LeaseId id;
    std::int64_t remaining_ttl_seconds;
  };
  /// Up to `max` checkpoints that are due, for the caller to propose. Empty unless primary and enabled.
  std::vector<Checkpoint> take_checkpoints(base::Instant now, std::size_t max);

 private:
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(base::BytesView key) const { return std::hash<base::BytesView>{}(key); }
  };
  /// Where a key hangs: the lease and the key's place in its list, so that detaching costs no search.
  struct Attachment {
    LeaseId lease;
    std::uint32_t place;
  };
  using Items = std::unordered_map<base::Bytes, Attachment, KeyHash, std::equal_to<>>;
  struct Lease {
    std::int64_t ttl_seconds;
    std::int64_t remaining_ttl_seconds = 0;
    base::Instant expiry = base::Instant::max();
    /// The time of this lease's one valid entry in each heap (expiry's may be earlier than `expiry`).
    base::Instant heap_time = base::Instant::max();
    base::Instant checkpoint_time = base::Instant::max();
    /// offered() of its last offer, which may not be applied yet; 0: none.
    std::uint64_t offer = 0;
    /// Keys, as nodes of items_; null while there are none.
    std::unique_ptr<std::vector<Items::value_type*>> keys;
  };
  using Leases = std::unordered_map<LeaseId, Lease>;

  void persist(LeaseId id, const Lease& lease);
  void set_expiry(LeaseId id, Lease& lease, base::Instant expiry);
  void schedule_checkpoint(LeaseId id, Lease& lease, base::Instant now);
  void unlink(Items::value_type& item);
  void drop_stale_entries();

  const LessorOptions options_;
  const std::int64_t min_ttl_seconds_;
  LeaseRows& rows_;
  Leases leases_;
  Items items_;
  bool primary_ = false;
  std::uint64_t offered_ = 0;
  DeadlineHeap expiry_heap_;
  DeadlineHeap checkpoint_heap_;
};

}  // namespace etcdpp::lease
