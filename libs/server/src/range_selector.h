#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include <etcdpp/base/result.h>
#include <etcdpp/mvcc/range_reader.h>

#include <etcdserverpb/rpc.pb.h>

namespace etcdpp::server {

/// The rows of an answer that is filtered by revisions, or in another order than that of keys: chosen in slices, each with
/// a RangeReader of its own, and then handed out one by one, so that neither a thread nor a View is held for long.
///
/// Memory: kBytesPerKey for each key that is kept, at most `limit` of them where the request has one; kBytesPerArrangedKey
/// once they are in order, until they are handed out; no keys, no values.
/// The order of calls: walk() until true, arrange() until true, then append_next() until done(). The revision is to be pinned
/// over all of it. Threads: one at a time.
///
/// What etcd does is kept (docs/COMPATIBILITY.md): filters before the order, the order before the cut, equal sort keys in
/// key order; a target without an order is ordered ascending, but then the cut to limit + 1 keys comes first.
class RangeSelector {
 public:
  /// Whether a request is answered this way; otherwise the rows are those of the range in key order, cut to the limit.
  static bool needed(const etcdserverpb::RangeRequest& request);

  /// `revision`: where the request is answered, resolved.
  RangeSelector(const etcdserverpb::RangeRequest& request, std::int64_t revision);

  /// Looks at up to `budget` keys; true at the end of the range.
  base::Result<bool> walk(const mvcc::RangeReader& reader, std::size_t budget);
  /// Brings up to `budget` of the kept rows into their order; true when all are.
  base::Result<bool> arrange(const mvcc::RangeReader& reader, std::size_t budget);
  /// Adds the next row as an element of RangeResponse.kvs.
  base::Result<> append_next(const mvcc::RangeReader& reader, std::string& out);

  bool done() const { return rows_.empty(); }
  std::size_t rows() const { return rows_.size(); }
  /// What append_next() will add in all.
  std::int64_t total_bytes() const { return total_bytes_; }
  /// The limit has cut the answer.
  bool more() const { return limit_ > 0 && matched_ > limit_; }

 private:
  struct Kept {
    std::uint64_t order;  // the sort key; of values the first eight bytes
    mvcc::Revision modified;
    std::uint32_t ordinal;  // in key order
    std::uint32_t framed_bytes;
  };

 public:
  static constexpr std::size_t kBytesPerKey = sizeof(Kept);
  static constexpr std::size_t kBytesPerArrangedKey = sizeof(mvcc::Revision);

 private:
  bool matches(const mvcc::KeyState& state) const;
  base::Result<> keep(const mvcc::RangeReader& reader, const mvcc::KeyState& state);
  bool before(const mvcc::RangeReader& reader, const Kept& a, const Kept& b);
  base::BytesView value_of(const mvcc::RangeReader& reader, const Kept& kept);
  base::Result<> compared();

  const etcdserverpb::RangeRequest request_;
  const std::int64_t revision_;
  const std::int64_t limit_;
  const bool sorted_;
  std::int64_t stop_at_ = 0;  // matches after which the rest of the range does not matter; 0: none
  base::Bytes next_key_;
  bool walked_ = false;

  // In pieces, so that memory goes as rows go from one to the other, and out.
  std::deque<Kept> kept_;            // in key order, or a heap with the last one in front
  std::deque<mvcc::Revision> rows_;  // arranged, the next one at the end
  std::int64_t matched_ = 0;
  std::int64_t total_bytes_ = 0;
  std::optional<base::Error> failed_;  // of a comparison
};

}  // namespace etcdpp::server
