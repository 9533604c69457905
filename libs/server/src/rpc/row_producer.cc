#include "row_producer.h"

#include <algorithm>
#include <cstring>

#include <etcdpp/base/assert.h>

#include "../apply/requests.h"
#include "../errc.h"
#include "../range_executor.h"

namespace etcdpp::server {

RowProducer::RowProducer(Member& member, std::string head, std::string tail)
    : member_(member), begun_(member.clock().now()), bytes_(std::move(head)), tail_(std::move(tail)) {}

base::Result<> RowProducer::refill() {
  bytes_.clear();
  taken_ = 0;
  if (!rows_left()) {
    bytes_ = std::move(tail_);
    tail_.clear();
    ended_ = true;
    return {};
  }
  if (member_.clock().now() - begun_ > kLongestPin) return base::Error(Errc::kTimeout, "the client takes its answer too slowly");
  ETCDPP_ASSIGN(const mvcc::RangeReader reader, mvcc::RangeReader::open(member_.views()));
  ETCDPP_TRY(append_rows(reader, bytes_));
  ETCDPP_ASSERT(!bytes_.empty(), "a range ended before the rows that its index had counted");
  return {};
}

base::Result<std::size_t> RowProducer::produce(char* out, std::size_t room) {
  std::size_t made = 0;
  while (made < room) {
    if (taken_ == bytes_.size()) {
      if (ended_) break;
      if (const auto refilled = refill(); !refilled) {
        if (is_fatal(refilled.error())) member_.failure().report("database cannot be read", refilled.error());
        return refilled.error();
      }
      continue;
    }
    const std::size_t n = std::min(room - made, bytes_.size() - taken_);
    std::memcpy(out + made, bytes_.data() + taken_, n);
    taken_ += n;
    made += n;
  }
  return made;
}

CursorProducer::CursorProducer(Member& member, mvcc::RangeCursor cursor, std::string head, std::string tail, AtEnd at_end)
    : RowProducer(member, std::move(head), std::move(tail)), cursor_(std::move(cursor)), at_end_(std::move(at_end)) {}

base::Result<> CursorProducer::append_rows(const mvcc::RangeReader& reader, std::string& out) {
  std::vector<mvcc::RangeRow> rows;
  ETCDPP_TRY(cursor_.next(reader, kRowsPerSlice, kBytesPerSlice, rows));
  for (const mvcc::RangeRow& row : rows) append_row(row, out);
  if (cursor_.done() && at_end_ && !rows.empty()) at_end_(rows.back().state.key);
  return {};
}

SelectionProducer::SelectionProducer(Member& member, RangeSelector selector, mvcc::RangeCursor pin, SelectionBudget::Share share,
                                     std::string head, std::string tail)
    : RowProducer(member, std::move(head), std::move(tail)),
      share_(std::move(share)),
      selector_(std::move(selector)),
      pin_(std::move(pin)) {}

base::Result<> SelectionProducer::append_rows(const mvcc::RangeReader& reader, std::string& out) {
  for (std::size_t n = 0; n < kRowsPerSlice && out.size() < kBytesPerSlice && !selector_.done(); ++n)
    ETCDPP_TRY(selector_.append_next(reader, out));
  return {};
}

}  // namespace etcdpp::server
