#include "range_stream.h"

#include <algorithm>

#include "../apply/requests.h"
#include "../range_executor.h"
#include "service.h"

namespace etcdpp::server {

namespace {
constexpr std::int64_t kFirstChunkKeys = 10;
constexpr std::size_t kSendLowWater = 256 * 1024;
constexpr std::size_t kSendHighWater = 1024 * 1024;
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
  std::shared_ptr<RangeStream> stream(new RangeStream(member, call, request, std::move(header)));
  // The call keeps the stream, and the stream the call, until one of them ends it.
  call.set_on_writable(kSendLowWater, [stream] { stream->pump(); });
  call.set_on_cancelled([stream](net::CancelReason) { stream->call_.reset(); });
  stream->pump();
}

void RangeStream::pump() {
  while (call_ && !call_->done() && call_->pending_send_bytes() < kSendHighWater)
    if (!send_chunk()) call_.reset();
}

bool RangeStream::send_chunk() {
  auto reader = mvcc::RangeReader::open(member_.views());
  base::Result<RangeSelection> selection = base::Error(std::make_error_code(std::errc::io_error));
  if (reader) {
    etcdserverpb::RangeRequest chunk;
    chunk.set_key(next_key_);
    chunk.set_range_end(request_.range_end());
    chunk.set_revision(revision_);
    chunk.set_count_only(request_.count_only());
    chunk.set_keys_only(request_.keys_only());
    // As etcd: a negative limit means everything in one chunk.
    const std::int64_t left = request_.limit() > 0 ? std::min(chunk_keys_, request_.limit() - sent_) : chunk_keys_;
    chunk.set_limit(request_.limit() < 0 ? 0 : left);
    selection = select_range(*reader, chunk);
    member_.metrics().ranges.add();
  } else {
    selection = reader.error();
  }
  if (!selection) {
    if (is_fatal(selection.error())) member_.failure().report("database cannot be read", selection.error());
    call_->finish(status_of(selection.error()));
    return false;
  }
  if (sent_ == 0) {
    header_revision_ = selection->current_revision;
    if (revision_ == 0) revision_ = selection->current_revision;
  }
  const auto got = static_cast<std::int64_t>(selection->rows.size());
  const std::int64_t total = sent_ + selection->count;
  sent_ += got;
  const bool limited = request_.limit() > 0 && sent_ >= request_.limit();
  const bool last = request_.count_only() || !selection->more || limited;

  std::string range;
  if (last) header_(header_revision_, range);
  for (const mvcc::RangeRow& row : selection->rows) append_row(row, selection->strip_values, range);
  if (last) append_range_end(!request_.count_only() && selection->more, total, range);
  std::string message("\x0a", 1);  // RangeStreamResponse.range_response
  for (std::size_t n = range.size();;) {
    if (n < 0x80) {
      message += static_cast<char>(n);
      break;
    }
    message += static_cast<char>(n | 0x80);
    n >>= 7;
  }
  message += range;
  if (!selection->rows.empty()) {
    next_key_ = selection->rows.back().state.key;
    next_key_ += '\0';
  }
  const std::uint64_t size = range.size();
  const std::uint64_t most = member_.config().max_request_bytes;
  if (size < most / 2) chunk_keys_ *= 2;
  else if (size > 2 * most) chunk_keys_ = std::max<std::int64_t>(1, chunk_keys_ / 2);
  call_->send_message(std::move(message));
  if (last) call_->finish(net::StatusCode::kOk);
  return !last;
}

}  // namespace etcdpp::server
