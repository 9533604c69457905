#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/net/grpc_call.h>

#include <etcdserverpb/rpc.pb.h>

#include "range_answer.h"

namespace etcdpp::server {

/// The Ranges of one key, and those that only count, that came in one turn of an I/O thread, answered together before it
/// writes: under one View and one snapshot of the database. The keys are looked up side by side, since a lookup among many
/// keys mostly waits for memory.
///
/// Threads: its own I/O thread's. Order: what add() takes is answered by the turn's next answer(), or by add() itself when
/// there is enough. Bound: kMost calls with keys of at most kLargestKey bytes; of rows what RangeReader reads at once.
class SmallReads {
 public:
  SmallReads(Member& member, HeaderWriter header) : member_(member), header_(std::move(header)) {}

  /// Whether a request is for one key with its value, or for a count: only those are taken.
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
    std::string range_end;
    std::int64_t revision = 0;
    base::Instant asked{};
    bool serializable = false;
    bool count_only = false;
  };
  /// What becomes of one of them: the answer behind its header, or why there is none.
  using Answers = std::array<base::Result<std::string>, mvcc::kKeysSideBySide>;
  /// Answers the first of them, and says how many.
  std::size_t answer(std::span<Read> reads);
  /// Reads the keys of the first of them, and says of how many: those behind are for the next reader.
  static std::size_t read_keys(const mvcc::RangeReader& reader, std::string_view header, std::span<const Read> reads, Answers& answers);
  static base::Result<std::string> count(const mvcc::RangeReader& reader, std::string_view header, const Read& read);

  Member& member_;
  const HeaderWriter header_;
  std::vector<Read> reads_;  // the first `taken_`; the others keep their room
  std::size_t taken_ = 0;
};

}  // namespace etcdpp::server
