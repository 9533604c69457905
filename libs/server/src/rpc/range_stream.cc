#include "range_stream.h"

#include <algorithm>
#include <limits>

#include "../range_executor.h"
#include "row_producer.h"

namespace etcdpp::server {

namespace {

constexpr std::int64_t kFirstChunkKeys = 10;
/// Chunks wait for the client up to this many bytes; the next is made when it has taken all.
constexpr std::size_t kSendHighWater = 256 * 1024;
/// Chunks below this are made in one piece.
constexpr std::size_t kWorthProducing = 64 * 1024;

/// RangeStreamResponse.range_response of so many bytes.
std::string frame(std::uint64_t range_bytes) {
  std::string head("\x0a", 1);
  for (; range_bytes >= 0x80; range_bytes >>= 7) head += static_cast<char>(range_bytes | 0x80);
  head += static_cast<char>(range_bytes);
  return head;
}

}  // namespace

RangeStream::RangeStream(Member& member, net::GrpcCall& call, const etcdserverpb::RangeRequest& request, HeaderWriter header)
    : member_(member),
      call_(call.ref()),
      request_(request),
      header_(std::move(header)),
      next_key_(request.key()),
      revision_(request.revision()),
      chunk_keys_(request.limit() > 0 ? std::min(kFirstChunkKeys, request.limit()) : kFirstChunkKeys) {}

void RangeStream::start(Member& member, net::GrpcCall& call, const etcdserverpb::RangeRequest& request, HeaderWriter header) {
  const Self self(new RangeStream(member, call, request, std::move(header)));
  // The call keeps the stream, and the stream the call, until one of them ends it.
  call.set_on_writable(0, [self] {
    self->producing_ = false;
    pump(self);
  });
  call.set_on_cancelled([self](net::CancelReason) { self->call_.reset(); });
  pump(self);
}

void RangeStream::end(const base::Error& error) {
  refuse_range(member_, *call_, error);
  call_.reset();
}

void RangeStream::pump(const Self& self) {
  while (self->call_ && !self->call_->done() && !self->measuring_ && !self->producing_ &&
         self->call_->pending_send_bytes() < kSendHighWater)
    if (const auto begun = self->begin_chunk(self); !begun) self->end(begun.error());
  if (self->call_ && self->call_->done()) self->call_.reset();
}

base::Result<> RangeStream::begin_chunk(const Self& self) {
  ETCDPP_ASSIGN(mvcc::RangeReader reader, mvcc::RangeReader::open(member_.views()));
  mvcc::RangeOptions options;
  options.revision = revision_;
  options.count_only = request_.count_only();
  options.keys_only = request_.keys_only();
  // As etcd: a negative limit means everything in one chunk.
  options.limit = request_.limit() > 0 ? std::min(chunk_keys_, request_.limit() - sent_) : request_.limit() < 0 ? 0 : chunk_keys_;
  mvcc::RangeCursor cursor(mvcc::KeyRange::of(next_key_, request_.range_end()), options, mvcc::RangeCursor::Hold::kPin);
  ETCDPP_TRY(cursor.start(member_.views(), reader));
  member_.metrics().ranges.add();
  ETCDPP_ASSIGN(const bool measured, cursor.measure(reader, kKeysPerSlice));
  if (measured) return send_chunk(self, std::move(cursor), reader);
  measuring_ = true;
  measure(self, std::move(cursor));
  return {};
}

void RangeStream::measure(const Self& self, mvcc::RangeCursor cursor) {
  self->call_->executor().post([self, cursor = std::move(cursor)]() mutable {
    if (!self->call_ || self->call_->done()) return self->call_.reset();
    const auto reader = mvcc::RangeReader::open(self->member_.views());
    const auto measured = reader ? cursor.measure(*reader, kKeysPerSlice) : base::Result<bool>(reader.error());
    if (!measured) return self->end(measured.error());
    if (!*measured) return measure(self, std::move(cursor));
    self->measuring_ = false;
    if (const auto sent = self->send_chunk(self, std::move(cursor), *reader); !sent) return self->end(sent.error());
    pump(self);
  });
}

void RangeStream::set_next(base::BytesView last_key) {
  next_key_ = last_key;
  next_key_ += '\0';
}

base::Result<> RangeStream::send_chunk(const Self& self, mvcc::RangeCursor cursor, const mvcc::RangeReader& reader) {
  const mvcc::RangeAnswer answer = cursor.answer();
  if (sent_ == 0) {
    header_revision_ = answer.current_revision;
    if (revision_ == 0) revision_ = answer.current_revision;
  }
  const std::int64_t total = sent_ + answer.count;
  sent_ += cursor.rows_left();
  const bool last = request_.count_only() || !answer.more || (request_.limit() > 0 && sent_ >= request_.limit());

  std::string head, tail;
  if (last) {
    header_(header_revision_, head);
    append_range_end(!request_.count_only() && answer.more, total, tail);
  }
  const std::uint64_t size = head.size() + static_cast<std::uint64_t>(cursor.total_bytes()) + tail.size();
  const std::uint64_t most = member_.config().max_request_bytes;
  if (size < most / 2) chunk_keys_ *= 2;
  else if (size > 2 * most) chunk_keys_ = std::max<std::int64_t>(1, chunk_keys_ / 2);

  std::string message = frame(size) + head;
  if (size < kWorthProducing) {
    std::vector<mvcc::RangeRow> rows;
    ETCDPP_TRY(cursor.next(reader, std::numeric_limits<std::size_t>::max(), std::numeric_limits<std::size_t>::max(), rows));
    for (const mvcc::RangeRow& row : rows) append_row(row, message);
    if (!rows.empty()) set_next(rows.back().state.key);
    call_->send_message(std::move(message) + tail);
  } else {
    const std::uint64_t length = size + message.size() - head.size();
    producing_ = true;
    call_->send_large(length, std::make_unique<CursorProducer>(member_, std::move(cursor), std::move(message), std::move(tail),
                                                               [self](base::BytesView last_key) { self->set_next(last_key); }));
  }
  if (last) call_->finish(net::StatusCode::kOk);
  return {};
}

}  // namespace etcdpp::server
