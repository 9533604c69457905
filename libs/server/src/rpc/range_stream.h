#pragma once

#include <memory>
#include <string>

#include <etcdpp/mvcc/range_reader.h>
#include <etcdpp/net/grpc_call.h>

#include <etcdserverpb/rpc.pb.h>

#include "../member.h"
#include "range_producer.h"

namespace etcdpp::server {

/// One KV/RangeStream: chunks in key order whose size follows etcd's rule, header, more and count in the last. It holds no
/// pin: a compaction below it meanwhile ends the stream with ErrCompacted, as in etcd.
class RangeStream {
 public:
  static void start(Member& member, net::GrpcCall& call, const etcdserverpb::RangeRequest& request, HeaderWriter header);

 private:
  RangeStream(Member& member, net::GrpcCall& call, const etcdserverpb::RangeRequest& request, HeaderWriter header);
  /// Sends chunks until the client lags, the end, or an error.
  void pump();
  /// False when the stream is over.
  bool send_chunk();

  Member& member_;
  net::CallRef call_;
  const etcdserverpb::RangeRequest request_;
  const HeaderWriter header_;
  std::string next_key_;
  std::int64_t revision_;
  std::int64_t chunk_keys_;
  std::int64_t sent_ = 0;
  std::int64_t header_revision_ = 0;
};

}  // namespace etcdpp::server
