#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <etcdpp/net/grpc_call.h>

#include <etcdserverpb/rpc.pb.h>

#include "range_answer.h"

namespace etcdpp::server {

/// The Ranges of one key that came in one turn of an I/O thread, answered together before it writes: under one View and one
/// snapshot of the database, and looked up side by side, since a lookup among many keys mostly waits for memory.
///
/// Threads: its own I/O thread's. Order: what add() takes is answered by the turn's next answer(), or by add() itself when
/// there is enough. Bound: kMost calls with keys of at most kLargestKey bytes.
class KeyReads {
 public:
  KeyReads(Member& member, HeaderWriter header) : member_(member), header_(std::move(header)) {}

  /// Whether a request is for one key with its value: only those are taken.
  static bool takes(const etcdserverpb::RangeRequest& request);
  /// Takes a read that may begin now.
  void add(net::CallRef call, const etcdserverpb::RangeRequest& request, base::Instant asked);
  /// Answers all that were taken.
  void answer();

 private:
  static constexpr std::size_t kMost = 128;
  static constexpr std::size_t kLargestKey = 4096;
  static constexpr std::size_t kMostAroundRow = 16;  // RangeResponse.kvs' head and .count

  struct Read {
    net::CallRef call;
    std::string key;
    std::int64_t revision = 0;
    base::Instant asked{};
    bool serializable = false;
  };
  void answer(std::span<Read> reads);

  Member& member_;
  const HeaderWriter header_;
  std::vector<Read> reads_;  // the first `taken_`; the others keep their room
  std::size_t taken_ = 0;
};

}  // namespace etcdpp::server
