// Hop 4 of a Put: see docs/LIFE_OF_A_PUT.md.
#include "proposer.h"

#include <etcdpp/raft/conf_change_codec.h>

#include "errc.h"
#include "member_state.h"
#include "raft_loop.h"

namespace etcdpp::server {

namespace {
// etcd's: this many committed entries may wait for their application before new requests are refused.
constexpr std::uint64_t kMaxGap = 5000;
// The same for revocations with the gate PriorityRequest: they shrink what others pile up.
constexpr std::uint64_t kMaxGapOfRevocations = 10'000;
}  // namespace

void Proposer::propose(RequestField field, std::string_view request, Done<ResponseMessage> done, net::Executor& home) {
  propose_as_leader(0, field, request, std::move(done), home);
}

void Proposer::propose_as_leader(raft::Term term, RequestField field, std::string_view request, Done<ResponseMessage> done,
                                 net::Executor& home) {
  const std::uint64_t committed = member_.committed.load(std::memory_order_acquire);
  const std::uint64_t applied = member_.applied.load(std::memory_order_acquire);
  const bool urgent = limits_.priority_request && field == RequestField::kLeaseRevoke;
  if (committed > applied + (urgent ? kMaxGapOfRevocations : kMaxGap)) return done(base::Error(Errc::kTooManyRequests));
  const std::uint64_t id = ids_.next();
  base::SharedBytes payload = encode_request(field, request, {.id = id});
  if (payload.size() > limits_.max_request_bytes) return done(base::Error(Errc::kRequestTooLarge));
  submit(id, raft::EntryType::kNormal, std::move(payload), std::move(done), home, term);
}

void Proposer::propose_conf_change(raft::ConfChange change, Done<ResponseMessage> done, net::Executor& home) {
  change.id = ids_.next();
  submit(change.id, raft::EntryType::kConfChange, raft::encode_conf_change(change), std::move(done), home);
}

void Proposer::submit(std::uint64_t id, raft::EntryType type, base::SharedBytes payload, Done<ResponseMessage> done,
                      net::Executor& home, raft::Term only_in_term) {
  waiters_.add(id, {std::move(done), &home, clock_.now() + limits_.request_timeout});
  const auto ticks = static_cast<std::uint32_t>(limits_.request_timeout / limits_.tick);
  if (raft_.propose(id, type, std::move(payload), ticks, only_in_term)) return;
  if (auto waiter = waiters_.take(id)) waiter->done(raft_.stopping() ? base::Error(Errc::kStopped) : base::Error(raft::Errc::kInboxFull));
}

base::Error Proposer::timeout_error(base::Instant begin) const {
  const auto lost = base::Instant(base::Duration(member_.leader_lost_at.load(std::memory_order_relaxed)));
  if (lost >= begin) return Errc::kTimeoutLeaderLost;
  return Errc::kTimeout;
}

}  // namespace etcdpp::server
