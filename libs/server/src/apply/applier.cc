#include "applier.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include <etcdpp/config/duration.h>

#include "../errc.h"
#include "requests.h"

namespace etcdpp::server {

namespace {

using etcdserverpb::InternalRaftRequest;

/// A database that is known to be wrong on some member takes no writes on any.
std::optional<base::Error> refused_as_corrupt(const ApplyState& state, const InternalRaftRequest& r) {
  if (!state.alarms.any(AlarmKind::kCorrupt)) return std::nullopt;
  if (r.has_put() || r.has_range() || r.has_delete_range() || r.has_txn() || r.has_compaction() || r.has_lease_grant() ||
      r.has_lease_revoke())
    return base::Error(Errc::kCorrupt);
  return std::nullopt;
}

/// What may grow the database.
std::uint64_t cost(const InternalRaftRequest& r) {
  if (r.has_put()) return quota_cost(r.put());
  if (r.has_txn()) return quota_cost(r.txn());
  if (r.has_lease_grant()) return quota_cost(r.lease_grant());
  return 0;
}

/// While some member is out of space, nothing that may grow a database.
std::optional<base::Error> refused_as_capped(const ApplyState& state, const InternalRaftRequest& r) {
  if (!state.alarms.any(AlarmKind::kNoSpace) || cost(r) == 0) return std::nullopt;
  return base::Error(Errc::kNoSpace);
}

/// Auth is off: bootstrap refuses a database in which it is on, and nothing can switch it on. All requests pass.
std::optional<base::Error> refused_by_auth(const ApplyState&, const InternalRaftRequest&) { return std::nullopt; }

}  // namespace

bool is_fatal(const base::Error& error) {
  const auto& category = error.code.category();
  if (category == make_error_code(backend::Errc::kCorrupt).category()) return true;
  return error.code == mvcc::Errc::kBadRow || error.code == mvcc::Errc::kBadRowKey || error.code == mvcc::Errc::kRowMissing;
}

Applied Applier::apply(const InternalRaftRequest& request, std::uint64_t entry_index, bool answered) {
  const RequestKind kind = kind_of(request);
  const base::Instant begin = state_.clock.now();
  Applied applied = judge_and_apply(request, entry_index, answered);
  const base::Duration took = state_.clock.now() - begin;
  const bool success = applied.response || applied.response.error().code == mvcc::Errc::kCompacted;
  state_.metrics.applies.observe(kind, success, took);
  if (took > state_.warning_apply_duration) {
    state_.metrics.slow_applies.add();
    state_.logger.warn("apply request took too long",
                       {{"took", config::go_duration(took)},
                        {"expected-duration", config::go_duration(state_.warning_apply_duration)},
                        {"prefix", ""},
                        {"request", fmt::format("{} size:{}", name_of(kind), request.ByteSizeLong())},
                        {"response", success ? std::string() : applied.response.error().message()},
                        {"index", entry_index}});
  }
  return applied;
}

Applied Applier::judge_and_apply(const InternalRaftRequest& request, std::uint64_t entry_index, bool answered) {
  if (auto refused = refused_as_corrupt(state_, request)) return {base::Result<ResponseMessage>(*std::move(refused)), false};
  if (auto refused = refused_as_capped(state_, request)) return {base::Result<ResponseMessage>(*std::move(refused)), false};
  if (auto refused = refused_by_auth(state_, request)) return {base::Result<ResponseMessage>(*std::move(refused)), false};
  const bool space = state_.quota.available(state_.backend.sizes().quota, cost(request));
  Applied applied = dispatch(request, entry_index, answered);
  state_.metrics.count(std::exchange(state_.done, {}));
  if (!space && applied.response) applied.response = base::Error(Errc::kNoSpace);
  return applied;
}

Applied Applier::dispatch(const InternalRaftRequest& r, std::uint64_t entry_index, bool answered) {
  if (r.has_put()) return {apply_put(state_, r.put()), false};
  if (r.has_txn()) return {apply_txn(state_, r.txn(), answered), false};
  if (r.has_delete_range()) return {apply_delete_range(state_, r.delete_range()), false};
  if (r.has_range()) {
    if (!answered) return {};
    return {apply_range(state_, r.range()), false};
  }
  if (r.has_compaction())
    return {apply_compaction(state_, r.compaction(), entry_index), r.compaction().physical()};
  if (r.has_lease_grant()) return {apply_lease_grant(state_, r.lease_grant()), false};
  if (r.has_lease_revoke()) return {apply_lease_revoke(state_, r.lease_revoke()), false};
  if (r.has_lease_checkpoint()) return {apply_lease_checkpoint(state_, r.lease_checkpoint()), false};
  if (r.has_alarm()) return {apply_alarm(state_, r.alarm()), false};
  if (r.has_cluster_version_set()) {
    apply_cluster_version(state_, r.cluster_version_set());
    return {};
  }
  if (r.has_cluster_member_attr_set()) {
    apply_member_attributes(state_, r.cluster_member_attr_set());
    return {};
  }
  return {base::Result<ResponseMessage>(base::Error(Errc::kNotSupportedYet)), false};
}

}  // namespace etcdpp::server
