#pragma once

#include <system_error>

#include <etcdpp/base/result.h>

namespace etcdpp::server {

/// Why the server refused or failed a request. The texts are those that etcd's clients match on (docs/COMPATIBILITY.md);
/// rpc/status_map.cc says which gRPC status each becomes.
enum class Errc {
  kEmptyKey = 1,
  kKeyNotFound,
  kValueProvided,
  kLeaseProvided,
  kTooManyOperations,
  kDuplicateKey,
  kInvalidSortOption,
  kInvalidClientApiVersion,
  kRequestTooLarge,
  kNoSpace,
  kCorrupt,
  kTooManyRequests,
  kNoLeader,
  kNotLeader,
  kLeaderChanged,
  kStopped,
  kTimeout,
  kTimeoutLeaderLost,
  kTimeoutConnectionLost,
  kTimeoutWaitingForApply,
  kContextDeadline,
  kContextCanceled,
  kMemberNotFound,
  kNotSupportedForLearner,
  kNotSupportedYet,
  kUnknownMethod,
  kRangeStreamSortOrder,
  kRangeStreamRevisionFilter,
  kMembershipIdRemoved,
  kMembershipIdExists,
  kMembershipPeerUrlExists,
  kMembershipIdNotFound,
  kMembershipNotLearner,
  kMembershipTooManyLearners,
  kMalformedEntry,
  kBadDataDirectory,
  kUserEmpty,
};

std::error_code make_error_code(Errc);

}  // namespace etcdpp::server

template <>
struct std::is_error_code_enum<etcdpp::server::Errc> : std::true_type {};
