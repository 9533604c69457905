#pragma once

#include <cstdint>
#include <string_view>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>

#include <etcdserverpb/raft_internal.pb.h>

namespace etcdpp::server {

/// Who asks, as it is carried in an entry so that every member judges permissions alike.
struct RequestHeader {
  std::uint64_t id = 0;
  std::string_view username{};
  std::uint64_t auth_revision = 0;
};

/// Field numbers of etcdserverpb.InternalRaftRequest.
enum class RequestField : std::uint32_t {
  kRange = 3,
  kPut = 4,
  kDeleteRange = 5,
  kTxn = 6,
  kCompaction = 7,
  kLeaseGrant = 8,
  kLeaseRevoke = 9,
  kAlarm = 10,
  kLeaseCheckpoint = 11,
  kHeader = 100,
  kClusterVersionSet = 1300,
  kClusterMemberAttrSet = 1301,
};

/// An InternalRaftRequest of one request member and its header, in field order; the request's bytes are copied as they
/// came from the client, once, into the buffer that then goes to log and peers.
base::SharedBytes encode_request(RequestField field, std::string_view request, const RequestHeader& header);

/// How deep messages lie in each other anywhere in `bytes`, without recursion and without trusting a length. Stops
/// counting at `limit`. Bytes fields that look like messages count too, so it is an upper bound.
std::size_t nesting_depth_of_txns(std::string_view txn, std::size_t limit);

/// The deepest nesting of transactions that a server with etcd's budgets can be asked to run; deeper is refused before
/// it is decoded, since decoding recurses.
inline constexpr std::size_t kMaxTxnDepth = 512;

/// Parses a message that may nest as deep as etcd accepts.
bool parse_deep(google::protobuf::MessageLite& message, std::string_view bytes);

}  // namespace etcdpp::server
