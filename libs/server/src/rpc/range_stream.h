#pragma once

#include <memory>
#include <string>

#include <etcdpp/mvcc/range_reader.h>
#include <etcdpp/net/grpc_call.h>

#include <etcdserverpb/rpc.pb.h>

#include "../member.h"
#include "range_answer.h"

namespace etcdpp::server {

/// One KV/RangeStream: chunks in key order whose size follows etcd's rule, header, more and count in the last. A large chunk
/// is read as the client takes it. Between chunks nothing is pinned: a compaction below the stream's revision meanwhile ends
/// it with ErrCompacted, as in etcd. In its call's thread.
class RangeStream {
 public:
  static void start(Member& member, net::GrpcCall& call, const etcdserverpb::RangeRequest& request, HeaderWriter header);

 private:
  using Self = std::shared_ptr<RangeStream>;

  RangeStream(Member& member, net::GrpcCall& call, const etcdserverpb::RangeRequest& request, HeaderWriter header);
  /// Sends chunks until the client lags, a long one is on its way, the end, or an error.
  static void pump(const Self& self);
  base::Result<> begin_chunk(const Self& self);
  /// Adds the chunk's length up, a slice a turn, and sends it.
  static void measure(const Self& self, mvcc::RangeCursor cursor);
  base::Result<> send_chunk(const Self& self, mvcc::RangeCursor cursor, const mvcc::RangeReader& reader);
  void end(const base::Error& error);
  void set_next(base::BytesView last_key);

  Member& member_;
  net::CallRef call_;
  const etcdserverpb::RangeRequest request_;
  const HeaderWriter header_;
  std::string next_key_;
  std::int64_t revision_;
  std::int64_t chunk_keys_;
  std::int64_t sent_ = 0;
  std::int64_t header_revision_ = 0;
  bool measuring_ = false;
  bool producing_ = false;
};

}  // namespace etcdpp::server
