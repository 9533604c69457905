#pragma once

#include <functional>
#include <string>

#include <etcdpp/base/clock.h>
#include <etcdpp/mvcc/range_reader.h>
#include <etcdpp/net/grpc_call.h>

#include "../member.h"
#include "../range_selector.h"
#include "../selection_budget.h"

namespace etcdpp::server {

/// A long message made of a head, rows, and a tail, produced as the client takes it: a slice of rows in memory at a time,
/// and no View between slices. The rows' revision is pinned by whoever derives from it, for kLongestPin at most: a client
/// that is not through by then finds its stream reset, so that compaction is not held up for ever. (One that takes nothing
/// is reset by the connection's write timeout.)
class RowProducer : public net::MessageProducer {
 public:
  base::Result<std::size_t> produce(char* out, std::size_t room) final;

 protected:
  RowProducer(Member& member, std::string head, std::string tail);
  static constexpr std::size_t kRowsPerSlice = 256;
  static constexpr std::size_t kBytesPerSlice = 64 * 1024;

  virtual bool rows_left() const = 0;
  /// Appends the next slice of rows.
  virtual base::Result<> append_rows(const mvcc::RangeReader& reader, std::string& out) = 0;

 private:
  static constexpr base::Duration kLongestPin = std::chrono::minutes(5);
  base::Result<> refill();

  Member& member_;
  const base::Instant begun_;
  std::string bytes_;
  std::size_t taken_ = 0;
  std::string tail_;
  bool ended_ = false;
};

/// Rows in key order.
class CursorProducer final : public RowProducer {
 public:
  /// Is told the key of the last row of all.
  using AtEnd = std::function<void(base::BytesView last_key)>;
  CursorProducer(Member& member, mvcc::RangeCursor cursor, std::string head, std::string tail, AtEnd at_end = {});

 private:
  bool rows_left() const override { return !cursor_.done(); }
  base::Result<> append_rows(const mvcc::RangeReader& reader, std::string& out) override;

  mvcc::RangeCursor cursor_;
  AtEnd at_end_;
};

/// Rows that were selected.
class SelectionProducer final : public RowProducer {
 public:
  SelectionProducer(Member& member, RangeSelector selector, mvcc::RangeCursor pin, SelectionBudget::Share share, std::string head,
                    std::string tail);

 private:
  bool rows_left() const override { return !selector_.done(); }
  base::Result<> append_rows(const mvcc::RangeReader& reader, std::string& out) override;

  SelectionBudget::Share share_;
  RangeSelector selector_;
  mvcc::RangeCursor pin_;
};

}  // namespace etcdpp::server
