#include "range_producer.h"

#include <algorithm>
#include <cstring>

#include <etcdpp/base/assert.h>

#include "../apply/requests.h"
#include "../range_executor.h"

namespace etcdpp::server {

namespace {
/// Answers below this are made in one piece.
constexpr std::int64_t kWorthStreaming = 64 * 1024;
/// Keys looked at before an answer whose length is not known at once is left to the plain way in slices of work.
constexpr std::size_t kMeasureBudget = 20'000;
constexpr std::size_t kRowsPerSlice = 256;
constexpr std::size_t kBytesPerSlice = 64 * 1024;
}  // namespace

RangeProducer::RangeProducer(Member& member, mvcc::RangeCursor cursor, std::string head, std::string tail)
    : member_(member), cursor_(std::move(cursor)), bytes_(std::move(head)), tail_(std::move(tail)) {}

bool RangeProducer::answer(Member& member, net::GrpcCall& call, const etcdserverpb::RangeRequest& request, mvcc::RangeReader& reader,
                           const HeaderWriter& header) {
  mvcc::RangeCursor cursor(mvcc::KeyRange::of(request.key(), request.range_end()), range_options(request),
                           mvcc::RangeCursor::Hold::kPin);
  const auto started = cursor.start(member.views(), reader);
  if (!started) return false;
  while (true) {
    const auto measured = cursor.measure(reader, kMeasureBudget);
    if (!measured) return false;
    if (*measured) break;
  }
  if (cursor.total_bytes() < kWorthStreaming) return false;
  std::string head, tail;
  header(started->current_revision, head);
  append_range_end(started->more, started->count, tail);
  const std::uint64_t length = head.size() + static_cast<std::uint64_t>(cursor.total_bytes()) + tail.size();
  call.send_large(length, std::unique_ptr<net::MessageProducer>(
                              new RangeProducer(member, std::move(cursor), std::move(head), std::move(tail))));
  call.finish(net::StatusCode::kOk);
  return true;
}

base::Result<> RangeProducer::refill() {
  bytes_.clear();
  taken_ = 0;
  if (cursor_.done()) {
    bytes_ = std::move(tail_);
    tail_.clear();
    ended_ = true;
    return {};
  }
  ETCDPP_ASSIGN(const mvcc::RangeReader reader, mvcc::RangeReader::open(member_.views()));
  std::vector<mvcc::RangeRow> rows;
  ETCDPP_TRY(cursor_.next(reader, kRowsPerSlice, kBytesPerSlice, rows));
  ETCDPP_ASSERT(!rows.empty(), "a range ended before the rows that its index had counted");
  for (const mvcc::RangeRow& row : rows) append_row(row, false, bytes_);
  return {};
}

base::Result<std::size_t> RangeProducer::produce(char* out, std::size_t room) {
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

}  // namespace etcdpp::server
