#include "errc.h"

namespace etcdpp::server {

namespace {

class ServerCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "server"; }
  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::kEmptyKey: return "etcdserver: key is not provided";
      case Errc::kKeyNotFound: return "etcdserver: key not found";
      case Errc::kValueProvided: return "etcdserver: value is provided";
      case Errc::kLeaseProvided: return "etcdserver: lease is provided";
      case Errc::kTooManyOperations: return "etcdserver: too many operations in txn request";
      case Errc::kDuplicateKey: return "etcdserver: duplicate key given in txn request";
      case Errc::kInvalidSortOption: return "etcdserver: invalid sort option";
      case Errc::kInvalidClientApiVersion: return "etcdserver: invalid client api version";
      case Errc::kRequestTooLarge: return "etcdserver: request is too large";
      case Errc::kNoSpace: return "etcdserver: mvcc: database space exceeded";
      case Errc::kCorrupt: return "etcdserver: corrupt cluster";
      case Errc::kTooManyRequests: return "etcdserver: too many requests";
      case Errc::kNoLeader: return "etcdserver: no leader";
      case Errc::kNotLeader: return "etcdserver: not leader";
      case Errc::kLeaderChanged: return "etcdserver: leader changed";
      case Errc::kStopped: return "etcdserver: server stopped";
      case Errc::kTimeout: return "etcdserver: request timed out";
      case Errc::kTimeoutLeaderLost: return "etcdserver: request timed out, possibly due to previous leader failure";
      case Errc::kTimeoutConnectionLost: return "etcdserver: request timed out, possibly due to connection lost";
      case Errc::kTimeoutWaitingForApply:
        return "etcdserver: request timed out, waiting for the applied index took too long";
      case Errc::kContextDeadline: return "context deadline exceeded";
      case Errc::kContextCanceled: return "context canceled";
      case Errc::kMemberNotFound: return "etcdserver: member not found";
      case Errc::kNotSupportedForLearner: return "etcdserver: rpc not supported for learner";
      case Errc::kNotSupportedYet: return "etcdpp: not supported yet";
      case Errc::kUnknownMethod: return "etcdserver: unknown method";
      case Errc::kRangeStreamSortOrder: return "RangeStream does not support custom sort orders";
      case Errc::kRangeStreamRevisionFilter: return "RangeStream does not support revision filters";
      case Errc::kMembershipIdRemoved: return "membership: ID removed";
      case Errc::kMembershipIdExists: return "membership: ID exists";
      case Errc::kMembershipPeerUrlExists: return "membership: peerURL exists";
      case Errc::kMembershipIdNotFound: return "membership: ID not found";
      case Errc::kMembershipNotLearner: return "membership: can only promote a learner member";
      case Errc::kMembershipTooManyLearners: return "membership: too many learner members in cluster";
      case Errc::kMalformedEntry: return "committed entry cannot be decoded";
      case Errc::kBadDataDirectory: return "data directory cannot be used";
      case Errc::kUserEmpty: return "etcdserver: user name is empty";
    }
    return "unknown server error";
  }
};

}  // namespace

std::error_code make_error_code(Errc e) {
  static const ServerCategory category;
  return {static_cast<int>(e), category};
}

}  // namespace etcdpp::server
