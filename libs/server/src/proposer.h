#pragma once

#include <string_view>

#include <etcdpp/raft/errc.h>
#include <etcdpp/raft/types.h>

#include "request_codec.h"
#include "request_id.h"
#include "waiters.h"

namespace etcdpp::server {

class RaftLoop;
struct MemberState;

/// Hop 4 of a Put: gives a request its id, notes who is to be answered, and puts it into raft's inbox.
///
/// Threads: any. Refusals come before anything was proposed: kTooManyRequests by etcd's gap rule (committed − applied),
/// kRequestTooLarge. Long before the inbox is full the I/O threads stop reading (Threads); what they had read by then and
/// does not fit is told kInboxFull; once the member stops, kStopped. Both from inside the call.
class Proposer {
 public:
  struct Limits {
    std::size_t max_request_bytes;
    base::Duration request_timeout;
    base::Duration tick;
    bool priority_request = false;  ///< the feature gate
  };
  Proposer(RaftLoop& raft, Waiters& waiters, RequestIdGenerator& ids, MemberState& member, const base::Clock& clock, Limits limits)
      : raft_(raft), waiters_(waiters), ids_(ids), member_(member), clock_(clock), limits_(limits) {}

  /// `request` is the wire form of the member `field` of an InternalRaftRequest; `done` gets the applied answer, or why
  /// there is none. kInboxFull in `done` means: nothing happened, try again later.
  void propose(RequestField field, std::string_view request, Done<ResponseMessage> done, net::Executor& home);
  /// The same, for what this member proposes as leader of `term`: refused if it no longer is that when raft takes it.
  void propose_as_leader(raft::Term term, RequestField field, std::string_view request, Done<ResponseMessage> done,
                         net::Executor& home);
  /// A conf change (its id is set here).
  void propose_conf_change(raft::ConfChange change, Done<ResponseMessage> done, net::Executor& home);

  /// An id for a lease or anything else that must be unique.
  std::uint64_t next_id() { return ids_.next(); }
  /// How long a request may take.
  base::Duration request_timeout() const { return limits_.request_timeout; }
  const base::Clock& clock() const { return clock_; }
  /// Why a proposal of `begin` has not been answered in time.
  base::Error timeout_error(base::Instant begin) const;

 private:
  void submit(std::uint64_t id, raft::EntryType type, base::SharedBytes payload, Done<ResponseMessage> done, net::Executor& home,
              raft::Term only_in_term = 0);

  RaftLoop& raft_;
  Waiters& waiters_;
  RequestIdGenerator& ids_;
  MemberState& member_;
  const base::Clock& clock_;
  const Limits limits_;
};

}  // namespace etcdpp::server
