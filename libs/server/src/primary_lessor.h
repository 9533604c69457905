#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/logger.h>
#include <etcdpp/base/result.h>
#include <etcdpp/lease/lessor.h>
#include <etcdpp/net/executor.h>

#include "member_state.h"
#include "metrics/member_metrics.h"
#include "request_codec.h"
#include "waiters.h"

namespace etcdpp::server {

/// What the leader does for its leases beside the log: renews them, and proposes the end of those that ran out and what is
/// left of long ones.
///
/// Leadership. Expiry is judged in the term in which this member was promoted, and what comes of it is proposed for that term
/// only: it enters the log of nobody else, and not later (Proposal::only_in_term).
/// A renewal promises time, so a leader that has been replaced without noticing must not give one. It is given only within an
/// election timeout of a moment at which a ReadIndex round was asked for that has since confirmed this leader. Whoever
/// replaces it is promoted after that moment, and gives every lease its time from then and an election timeout more: so the
/// lease ends there no earlier than was promised here, whatever became of this process, its clock's ticks or its network in
/// between. Renewals share a round; while they come it is renewed before it runs out, so that none has to wait.
///
/// Threads: the apply loop's, in tasks and beside entries. Bounds: revocations and checkpoints by bytes in flight; whoever
/// waits here is one per keep-alive stream, up to the request timeout.
/// etcd: server/lease (renew, expiry loop), etcdserver (ensureLeadership, revokeExpiredLeases).
class PrimaryLessor {
 public:
  using Proposed = Done<ResponseMessage>;
  struct Ports {
    lease::Lessor& lessor;
    MemberState& member;
    const base::Clock& clock;
    base::Logger& logger;
    MemberMetrics& metrics;
    /// Puts a request into the log if this member still leads in `term` when it gets there; `done` runs in the apply loop, or
    /// at once if it is refused at once.
    std::function<void(std::uint64_t term, RequestField field, std::string_view request, Proposed done)> propose;
    /// A linearizable read round; `done` runs in the apply loop.
    std::function<void(std::move_only_function<void(base::Result<>)> done)> confirm_leadership;
    /// Runs `then` in the apply loop when everything committed by now is applied, or with an error in a second.
    std::function<void(std::move_only_function<void(base::Result<>)> then)> when_applied;
  };
  struct Options {
    base::Duration election_timeout;
    base::Duration request_timeout;
    /// Feature gate FastLeaseKeepAlive: only a renewal of an unknown lease waits for what is committed and not yet applied.
    bool fast_keep_alive = true;
  };

  PrimaryLessor(Ports ports, const Options& options) : ports_(std::move(ports)), options_(options) {}

  /// The first entry of this leader's term has been applied.
  void promote(std::uint64_t term);
  void demote();
  /// Once per heartbeat interval: proposes what is due, ends waits.
  void tick();
  /// A LeaseRevoke has been applied.
  void revoked(lease::LeaseId id);

  /// The lease's whole time again; `done` gets the TTL, 0 for a lease that is not (or no longer) there, or why nobody can say:
  /// kNoLeader, kNotPrimary.
  void renew(lease::LeaseId id, std::move_only_function<void(base::Result<std::int64_t>)> done);
  /// Runs `then` when this member is primary and everything committed by now is applied, or says why it is not.
  void when_primary(std::move_only_function<void(base::Result<>)> then);

 private:
  struct Renewal {
    lease::LeaseId id;
    std::move_only_function<void(base::Result<std::int64_t>)> done;
    base::Instant deadline;
    std::uint64_t cleared = 0;  ///< As Lessor::renew wants it.
    bool applied = false;       ///< What was committed when it came is applied.
  };
  struct Waiting {
    base::Instant deadline;
    std::move_only_function<void(base::Result<>)> then;
  };

  void renew(Renewal renewal);
  void confirm_leadership();
  void clear_checkpoint(Renewal renewal);
  void wait_for_primary(std::move_only_function<void(base::Result<>)> then);
  void propose_due();
  void propose_revocations();
  void propose_checkpoints();
  template <typename Then>
  void propose(RequestField field, const google::protobuf::MessageLite& request, Then then);

  Ports ports_;
  const Options options_;
  /// The term of the last promotion.
  std::uint64_t term_ = 0;
  /// When the last round that has confirmed us in this term was asked for; never: long ago.
  base::Instant confirmed_at_ = base::Instant::min();
  bool confirming_ = false;
  std::vector<Renewal> waiting_for_confirmation_;
  std::size_t bytes_in_flight_ = 0;
  bool proposing_ = false;  ///< Within propose_due().
  bool refused_ = false;    ///< Something of it was refused at once: no more now.
  std::vector<Waiting> waiting_for_primary_;
  std::multimap<lease::LeaseId, Renewal> waiting_for_revoke_;
};

}  // namespace etcdpp::server
