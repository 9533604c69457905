#pragma once

#include <functional>
#include <string>

#include <etcdpp/mvcc/range_reader.h>
#include <etcdpp/net/grpc_call.h>

#include <etcdserverpb/rpc.pb.h>

#include "../member.h"

namespace etcdpp::server {

/// Puts a response header for a revision at the end of a message's bytes.
using HeaderWriter = std::function<void(std::int64_t revision, std::string& out)>;

/// A long unary Range answer: announced with its length and then made row by row as the client takes it, so that memory
/// does not grow with the range. Its revision is pinned until the last row.
class RangeProducer final : public net::MessageProducer {
 public:
  /// Answers `call` this way if the answer is long enough to be worth it; false: nothing was sent, answer at once.
  static bool answer(Member& member, net::GrpcCall& call, const etcdserverpb::RangeRequest& request, mvcc::RangeReader& reader,
                     const HeaderWriter& header);

  base::Result<std::size_t> produce(char* out, std::size_t room) override;

 private:
  RangeProducer(Member& member, mvcc::RangeCursor cursor, std::string head, std::string tail);
  base::Result<> refill();

  Member& member_;
  mvcc::RangeCursor cursor_;
  std::string bytes_;
  std::size_t taken_ = 0;
  std::string tail_;
  bool ended_ = false;
};

}  // namespace etcdpp::server
