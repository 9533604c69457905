#include "status_map.h"

#include <optional>

#include <etcdpp/lease/errc.h>
#include <etcdpp/mvcc/errc.h>
#include <etcdpp/raft/errc.h>

#include "../errc.h"

namespace etcdpp::server {

namespace {

using net::StatusCode;

StatusCode code_of(Errc e) {
  switch (e) {
    case Errc::kEmptyKey:
    case Errc::kKeyNotFound:
    case Errc::kValueProvided:
    case Errc::kLeaseProvided:
    case Errc::kTooManyOperations:
    case Errc::kDuplicateKey:
    case Errc::kInvalidSortOption:
    case Errc::kInvalidClientApiVersion:
    case Errc::kUserEmpty:
    case Errc::kRequestTooLarge: return StatusCode::kInvalidArgument;
    case Errc::kNoSpace: return StatusCode::kResourceExhausted;
    case Errc::kCorrupt: return StatusCode::kDataLoss;
    case Errc::kTooManyRequests: return StatusCode::kUnknown;  // etcd's clients expect it so
    case Errc::kNoLeader:
    case Errc::kLeaderChanged:
    case Errc::kStopped:
    case Errc::kTimeout:
    case Errc::kTimeoutLeaderLost:
    case Errc::kTimeoutConnectionLost:
    case Errc::kTimeoutWaitingForApply: return StatusCode::kUnavailable;
    case Errc::kNotLeader:
    case Errc::kNotSupportedForLearner:
    case Errc::kMembershipIdExists:
    case Errc::kMembershipPeerUrlExists:
    case Errc::kMembershipNotLearner:
    case Errc::kMembershipTooManyLearners: return StatusCode::kFailedPrecondition;
    case Errc::kContextDeadline: return StatusCode::kDeadlineExceeded;
    case Errc::kContextCanceled: return StatusCode::kCancelled;
    case Errc::kMemberNotFound:
    case Errc::kMembershipIdRemoved:
    case Errc::kMembershipIdNotFound: return StatusCode::kNotFound;
    case Errc::kNotSupportedYet:
    case Errc::kRangeStreamSortOrder:
    case Errc::kRangeStreamRevisionFilter: return StatusCode::kUnimplemented;
    case Errc::kUnknownMethod:
    case Errc::kMalformedEntry:
    case Errc::kBadDataDirectory: return StatusCode::kUnknown;
  }
  return StatusCode::kUnknown;
}

/// What other libraries call it, as clients know it.
std::optional<net::Status> status_of_library(const base::Error& error) {
  if (error.code == mvcc::Errc::kCompacted || error.code == mvcc::Errc::kFutureRevision)
    return net::Status{StatusCode::kOutOfRange, "etcdserver: " + error.code.message()};
  if (error.code == lease::Errc::kNotFound) return net::Status{StatusCode::kNotFound, "etcdserver: requested lease not found"};
  if (error.code == lease::Errc::kAlreadyExists)
    return net::Status{StatusCode::kFailedPrecondition, "etcdserver: lease already exists"};
  if (error.code == lease::Errc::kTtlTooLarge) return net::Status{StatusCode::kOutOfRange, "etcdserver: too large lease TTL"};
  if (error.code == lease::Errc::kNotPrimary) return net::Status{StatusCode::kUnknown, "not a primary lessor"};
  if (error.code == raft::Errc::kStopped) return net::Status{StatusCode::kUnavailable, make_error_code(Errc::kStopped).message()};
  return std::nullopt;
}

}  // namespace

net::Status status_of(const base::Error& error) {
  if (error.code.category() == make_error_code(Errc::kStopped).category())
    return {code_of(static_cast<Errc>(error.code.value())), error.code.message()};
  if (auto status = status_of_library(error)) return *std::move(status);
  return {net::StatusCode::kUnknown, error.message()};
}

}  // namespace etcdpp::server
