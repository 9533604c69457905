// Expiry. Each lease of a primary has one valid entry in the expiry heap, at a time that is never later than its expiry.
// Renewing only moves `expiry`: when the old time surfaces, the entry goes back in at the new one. So a renewal costs no
// heap work, and a lease that is renewed n times within its TTL passes through the heap once. An expiry that moves
// forward in time (a renewal after promote() had extended it) gets a new entry; the old one is stale: its time is not
// the lease's heap_time. Stale entries are dropped as they surface, and all at once when they outnumber the leases.
#include <etcdpp/lease/lessor.h>

#include <algorithm>

#include <etcdpp/base/assert.h>

namespace etcdpp::lease {

namespace {

using base::Duration;
using base::Instant;
using std::chrono::seconds;

constexpr Instant kForever = Instant::max();
/// From this many leases on, promote() spreads what would run out in one second.
constexpr std::size_t kSpreadFrom = 1000;
constexpr std::size_t kStaleSlack = 1024;

/// The least TTL: one and a half elections, in whole seconds.
std::int64_t min_ttl(const LessorOptions& options) {
  const Duration shortest = (3 * options.election_ticks / 2) * options.heartbeat_interval;
  return std::chrono::ceil<seconds>(shortest).count();
}

/// `now` + `by`, or forever: TTLs reach 285 years, which the monotonic clock still holds, but only just.
Instant later(Instant now, std::int64_t ttl_seconds, Duration extend = Duration::zero()) {
  const auto room = std::chrono::floor<seconds>(kForever - now - extend).count();
  return ttl_seconds > room ? kForever - Duration(1) : now + extend + seconds(ttl_seconds);
}

}  // namespace

Lessor::Lessor(const LessorOptions& options, LeaseRows& rows)
    : options_(options), min_ttl_seconds_(min_ttl(options)), rows_(rows) {}

Lessor::~Lessor() = default;

void Lessor::persist(LeaseId id, const Lease& lease) {
  rows_.put(encode_lease_key(id), encode_lease_row({id, lease.ttl_seconds, lease.remaining_ttl_seconds}));
}

void Lessor::set_expiry(LeaseId id, Lease& lease, Instant expiry) {
  lease.expiry = expiry;
  if (lease.heap_time <= expiry) return;
  lease.heap_time = expiry;
  expiry_heap_.push(expiry, id);
  drop_stale_entries();
}

void Lessor::schedule_checkpoint(LeaseId id, Lease& lease, Instant now) {
  if (!options_.checkpoint || !primary_) return;
  const std::int64_t left = lease.remaining_ttl_seconds > 0 ? lease.remaining_ttl_seconds : lease.ttl_seconds;
  if (seconds(left) <= options_.checkpoint_interval) return;
  lease.checkpoint_time = now + options_.checkpoint_interval;
  checkpoint_heap_.push(lease.checkpoint_time, id);
  drop_stale_entries();
}

void Lessor::drop_stale_entries() {
  const std::size_t most = 2 * leases_.size() + kStaleSlack;
  if (expiry_heap_.size() > most) {
    expiry_heap_.erase_if([&](const DeadlineHeap::Entry& entry) {
      const auto it = leases_.find(entry.id);
      return it == leases_.end() || it->second.heap_time != entry.time;
    });
  }
  if (checkpoint_heap_.size() > most) {
    checkpoint_heap_.erase_if([&](const DeadlineHeap::Entry& entry) {
      const auto it = leases_.find(entry.id);
      return it == leases_.end() || it->second.checkpoint_time != entry.time;
    });
  }
}

base::Result<std::int64_t> Lessor::grant(LeaseId id, std::int64_t ttl_seconds, Instant now) {
  if (id == 0) return base::Error(Errc::kNotFound);
  if (ttl_seconds > kMaxTtlSeconds) return base::Error(Errc::kTtlTooLarge);
  const auto [it, added] = leases_.try_emplace(id);
  if (!added) return base::Error(Errc::kAlreadyExists);
  Lease& lease = it->second;
  lease.ttl_seconds = std::max(ttl_seconds, min_ttl_seconds_);
  persist(id, lease);
  if (primary_) {
    set_expiry(id, lease, later(now, lease.ttl_seconds));
    schedule_checkpoint(id, lease, now);
  }
  return lease.ttl_seconds;
}

base::Result<std::vector<base::Bytes>> Lessor::revoke(LeaseId id) {
  const auto it = leases_.find(id);
  if (it == leases_.end()) return base::Error(Errc::kNotFound);
  std::vector<base::Bytes> attached;
  if (it->second.keys) {
    attached.reserve(it->second.keys->size());
    // The nodes go one by one: each is looked up by its own key, which must outlive the call.
    for (Items::value_type* item : *it->second.keys) {
      attached.push_back(item->first);
      items_.erase(attached.back());
    }
    std::sort(attached.begin(), attached.end());
  }
  leases_.erase(it);
  rows_.erase(encode_lease_key(id));
  return attached;
}

void Lessor::unlink(Items::value_type& item) {
  const auto it = leases_.find(item.second.lease);
  ETCDPP_ASSERT(it != leases_.end() && it->second.keys, "a key hangs on a lease that is gone");
  auto& keys = *it->second.keys;
  keys[item.second.place] = keys.back();
  keys[item.second.place]->second.place = item.second.place;
  keys.pop_back();
  if (keys.empty()) it->second.keys.reset();
}

base::Result<> Lessor::attach(LeaseId id, base::BytesView key) {
  if (id == 0) {
    detach(key);
    return {};
  }
  const auto lease = leases_.find(id);
  if (lease == leases_.end()) return base::Error(Errc::kNotFound);
  auto item = items_.find(key);
  if (item == items_.end()) {
    item = items_.emplace(base::Bytes(key), Attachment{}).first;
  } else {
    if (item->second.lease == id) return {};
    unlink(*item);
  }
  auto& keys = lease->second.keys;
  if (!keys) keys = std::make_unique<std::vector<Items::value_type*>>();
  item->second = {id, static_cast<std::uint32_t>(keys->size())};
  keys->push_back(&*item);
  return {};
}

void Lessor::detach(base::BytesView key) {
  const auto item = items_.find(key);
  if (item == items_.end()) return;
  unlink(*item);
  items_.erase(item);
}

base::Result<> Lessor::checkpoint(LeaseId id, std::int64_t remaining_ttl_seconds, bool persist_row, Instant now) {
  const auto it = leases_.find(id);
  if (it == leases_.end()) return base::Error(Errc::kNotFound);
  it->second.remaining_ttl_seconds = remaining_ttl_seconds;
  if (persist_row) persist(id, it->second);
  schedule_checkpoint(id, it->second, now);
  return {};
}

base::Result<> Lessor::restore_row(base::BytesView key, base::BytesView value) {
  ETCDPP_ASSIGN(const LeaseRow row, decode_lease_row(key, value));
  Lease& lease = leases_[row.id];
  lease.ttl_seconds = std::clamp(row.ttl_seconds, min_ttl_seconds_, kMaxTtlSeconds);
  lease.remaining_ttl_seconds = std::clamp<std::int64_t>(row.remaining_ttl_seconds, 0, kMaxTtlSeconds);
  return {};
}

LeaseId Lessor::lease_of(base::BytesView key) const {
  const auto item = items_.find(key);
  return item == items_.end() ? 0 : item->second.lease;
}

std::vector<base::Bytes> Lessor::keys(LeaseId id) const {
  std::vector<base::Bytes> attached;
  const auto it = leases_.find(id);
  if (it == leases_.end() || !it->second.keys) return attached;
  attached.reserve(it->second.keys->size());
  for (const Items::value_type* item : *it->second.keys) attached.push_back(item->first);
  std::sort(attached.begin(), attached.end());
  return attached;
}

std::vector<LeaseId> Lessor::leases() const {
  std::vector<std::pair<Instant, LeaseId>> order;
  order.reserve(leases_.size());
  for (const auto& [id, lease] : leases_) order.emplace_back(lease.expiry, id);
  std::sort(order.begin(), order.end());
  std::vector<LeaseId> ids;
  ids.reserve(order.size());
  for (const auto& [expiry, id] : order) ids.push_back(id);
  return ids;
}

base::Result<Lessor::TimeToLive> Lessor::time_to_live(LeaseId id, Instant now) const {
  const auto it = leases_.find(id);
  if (it == leases_.end()) return base::Error(Errc::kNotFound);
  if (!primary_) return base::Error(Errc::kNotPrimary);
  return TimeToLive{std::chrono::duration_cast<seconds>(it->second.expiry - now).count(), it->second.ttl_seconds};
}

void Lessor::promote(Duration extend, Instant now) {
  primary_ = true;
  expiry_heap_.clear();
  checkpoint_heap_.clear();
  std::vector<std::pair<Instant, LeaseId>> order;
  order.reserve(leases_.size());
  for (auto& [id, lease] : leases_) {
    const std::int64_t left = lease.remaining_ttl_seconds > 0 ? lease.remaining_ttl_seconds : lease.ttl_seconds;
    order.emplace_back(later(now, left, extend), id);
  }
  std::sort(order.begin(), order.end());
  // Leases that all ran out while there was no leader must not be revoked in one heap: a window of one second takes so
  // many, the next ones wait for the next window.
  const bool spread = order.size() >= kSpreadFrom;
  Instant window = order.empty() ? now : order.front().first;
  std::size_t in_window = 0;
  for (auto& [expiry, id] : order) {
    if (spread) {
      if (expiry >= window + seconds(1)) {
        window = expiry;
        in_window = 0;
      } else if (in_window == options_.spread_per_second) {
        window += seconds(1);
        in_window = 0;
      }
      expiry = std::max(expiry, window);
      ++in_window;
    }
    Lease& lease = leases_.find(id)->second;
    lease.heap_time = kForever;
    // What an earlier leader offered stands before this leader's first entry, or nowhere.
    lease.offer = 0;
    set_expiry(id, lease, expiry);
    schedule_checkpoint(id, lease, now);
  }
}

void Lessor::demote() {
  primary_ = false;
  expiry_heap_.clear();
  checkpoint_heap_.clear();
  for (auto& [id, lease] : leases_) lease.expiry = lease.heap_time = lease.checkpoint_time = kForever;
}

base::Result<Lessor::Renewed> Lessor::renew(LeaseId id, Instant now, std::uint64_t cleared) {
  if (!primary_) return base::Error(Errc::kNotPrimary);
  const auto it = leases_.find(id);
  if (it == leases_.end()) return base::Error(Errc::kNotFound);
  Lease& lease = it->second;
  if (lease.expiry <= now) return Renewed{Renewal::kExpired, 0};
  // Every member must forget the checkpoint, else the next leader counts from it and ends the lease too early: also where
  // this member offers none itself.
  if (lease.remaining_ttl_seconds > 0 || lease.offer > cleared) return Renewed{Renewal::kCheckpointFirst, 0};
  lease.offer = 0;
  set_expiry(id, lease, later(now, lease.ttl_seconds));
  return Renewed{Renewal::kRenewed, lease.ttl_seconds};
}

std::vector<LeaseId> Lessor::take_expired(Instant now, std::size_t max) {
  std::vector<LeaseId> expired;
  while (!expiry_heap_.empty() && expiry_heap_.top().time <= now && expired.size() < max) {
    const auto [time, id] = expiry_heap_.top();
    expiry_heap_.pop();
    const auto it = leases_.find(id);
    if (it == leases_.end() || it->second.heap_time != time) continue;
    Lease& lease = it->second;
    if (lease.expiry <= now) expired.push_back(id);
    // Renewed meanwhile: at its new time. Handed out: once more, should the revocation fail.
    lease.heap_time = lease.expiry <= now ? now + options_.recheck_interval : lease.expiry;
    expiry_heap_.push(lease.heap_time, id);
  }
  return expired;
}

std::optional<Instant> Lessor::next_expiry() const {
  if (expiry_heap_.empty()) return std::nullopt;
  return expiry_heap_.top().time;
}

std::vector<Lessor::Checkpoint> Lessor::take_checkpoints(Instant now, std::size_t max) {
  std::vector<Checkpoint> due;
  while (!checkpoint_heap_.empty() && checkpoint_heap_.top().time <= now && due.size() < max) {
    const auto [time, id] = checkpoint_heap_.top();
    checkpoint_heap_.pop();
    const auto it = leases_.find(id);
    if (it == leases_.end() || it->second.checkpoint_time != time) continue;
    Lease& lease = it->second;
    lease.checkpoint_time = kForever;
    if (lease.expiry <= now) continue;
    const std::int64_t left = std::chrono::ceil<seconds>(lease.expiry - now).count();
    if (left < lease.ttl_seconds) {
      due.push_back({id, left});  // applied, it schedules the next
      lease.offer = ++offered_;
      continue;
    }
    schedule_checkpoint(id, lease, now);  // renewed just now: nothing to say yet
  }
  return due;
}

}  // namespace etcdpp::lease
