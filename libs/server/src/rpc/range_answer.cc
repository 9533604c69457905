#include "range_answer.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <optional>

#include "../apply/requests.h"
#include "../errc.h"
#include "../range_executor.h"
#include "../range_selector.h"
#include "row_producer.h"
#include "status_map.h"

namespace etcdpp::server {

namespace {

using etcdserverpb::RangeRequest;

/// Keys of it that the `reader` thread looks at in one go, where values may have to be read too.
constexpr std::size_t kKeysPerReaderSlice = 1'000;
/// Answers below this are made in one piece.
constexpr std::int64_t kWorthStreaming = 64 * 1024;

/// A list in key order whose length is being added up; in the call's thread.
struct Measured {
  net::CallRef call;
  mvcc::RangeCursor cursor;
};

void refuse(Member& member, net::GrpcCall& call, const RangeReply& reply, const base::Error& error) {
  count_range(member, reply, false);
  refuse_range(member, call, error);
}

void send_in_one_piece(Member& member, net::GrpcCall& call, mvcc::RangeCursor& cursor, const mvcc::RangeReader& reader, std::string bytes) {
  std::vector<mvcc::RangeRow> rows;
  const auto read = cursor.next(reader, std::numeric_limits<std::size_t>::max(), std::numeric_limits<std::size_t>::max(), rows);
  if (!read) return refuse_range(member, call, read.error());
  for (const mvcc::RangeRow& row : rows) append_row(row, bytes);
  append_range_end(cursor.answer().more, cursor.answer().count, bytes);
  call.reply(std::move(bytes));
}

void send_measured(Member& member, net::GrpcCall& call, mvcc::RangeCursor cursor, const mvcc::RangeReader& reader,
                   const RangeReply& reply) {
  count_range(member, reply, true);
  std::string head, tail;
  reply.header(cursor.answer().current_revision, head);
  if (cursor.total_bytes() < kWorthStreaming) return send_in_one_piece(member, call, cursor, reader, std::move(head));
  append_range_end(cursor.answer().more, cursor.answer().count, tail);
  const std::uint64_t length = head.size() + static_cast<std::uint64_t>(cursor.total_bytes()) + tail.size();
  call.send_large(length, std::make_unique<CursorProducer>(member, std::move(cursor), std::move(head), std::move(tail)));
  call.finish(net::StatusCode::kOk);
}

void measure_on(RangeShared& shared, Measured at, RangeReply reply) {
  net::Executor& home = at.call->executor();
  home.post([&shared, at = std::move(at), reply = std::move(reply)]() mutable {
    if (at.call->done()) return;
    const auto reader = mvcc::RangeReader::open(shared.member.views());
    const auto measured = reader ? at.cursor.measure(*reader, kKeysPerSlice) : base::Result<bool>(reader.error());
    if (!measured) return refuse(shared.member, *at.call, reply, measured.error());
    if (!*measured) return measure_on(shared, std::move(at), std::move(reply));
    send_measured(shared.member, *at.call, std::move(at.cursor), *reader, reply);
  });
}

/// One selected answer on its way through the `reader` thread. `call` is used in its own thread only; the rest belongs to
/// whoever runs the next slice.
struct Selected {
  Selected(RangeShared& with, net::GrpcCall& answered, const RangeRequest& asked, RangeReply how)
      : shared(with), home(answered.executor()), call(answered.ref()), request(asked), reply(std::move(how)) {}

  RangeShared& shared;
  net::Executor& home;
  net::CallRef call;
  const RangeRequest request;
  const RangeReply reply;
  SelectionBudget::Share share;
  std::optional<mvcc::RangeCursor> pin;  // holds revision and count
  std::optional<RangeSelector> selector;
  std::atomic<bool> cancelled{false};
};
using SelectedPtr = std::shared_ptr<Selected>;

/// The last that is said in the call's thread; call and answer hold each other until then.
void refuse_selected(const SelectedPtr& at, const base::Error& error) {
  refuse(at->shared.member, *at->call, at->reply, error);
  at->call.reset();
}

void send_selected(const SelectedPtr& at, const base::Result<bool>& outcome) {
  if (!outcome) return refuse_selected(at, outcome.error());
  count_range(at->shared.member, at->reply, true);
  std::string head, tail;
  at->reply.header(at->pin->answer().current_revision, head);
  append_range_end(at->selector->more(), at->pin->answer().count, tail);
  at->share.shrink(at->selector->rows() * RangeSelector::kBytesPerArrangedKey);
  const std::uint64_t length = head.size() + static_cast<std::uint64_t>(at->selector->total_bytes()) + tail.size();
  at->call->send_large(length, std::make_unique<SelectionProducer>(at->shared.member, *std::move(at->selector), *std::move(at->pin),
                                                                   std::move(at->share), std::move(head), std::move(tail)));
  at->call->finish(net::StatusCode::kOk);
  at->call.reset();
}

/// True: there is more to do.
base::Result<bool> select_slice(Selected& at) {
  ETCDPP_ASSIGN(const mvcc::RangeReader reader, mvcc::RangeReader::open(at.shared.member.views()));
  ETCDPP_ASSIGN(const bool walked, at.selector->walk(reader, kKeysPerReaderSlice));
  if (!walked) return true;
  ETCDPP_ASSIGN(const bool arranged, at.selector->arrange(reader, kKeysPerReaderSlice));
  return !arranged;
}

/// A cursor that is asked for the count alone fixes the revision and pins it.
base::Result<mvcc::RangeCursor> pin_range(Member& member, const RangeRequest& request, mvcc::RangeReader& reader) {
  mvcc::RangeOptions options;
  options.revision = request.revision();
  options.count_only = true;
  mvcc::RangeCursor pin(mvcc::KeyRange::of(request.key(), request.range_end()), options, mvcc::RangeCursor::Hold::kPin);
  ETCDPP_TRY(pin.start(member.views(), reader));
  return pin;
}

/// In the call's thread, once the answer has its share of memory. Nothing was pinned while it waited for that.
void begin_selected(const SelectedPtr& at) {
  if (at->call->done()) return at->call.reset();
  auto reader = mvcc::RangeReader::open(at->shared.member.views());
  if (!reader) return refuse_selected(at, reader.error());
  auto pin = pin_range(at->shared.member, at->request, *reader);
  if (!pin) return refuse_selected(at, pin.error());
  at->selector.emplace(at->request, pin->answer().revision);
  at->pin = *std::move(pin);
  const bool accepted = at->shared.readers.run_in_slices([at] {
    auto outcome = at->cancelled.load(std::memory_order_relaxed) ? base::Result<bool>(base::Error(Errc::kContextCanceled)) : select_slice(*at);
    if (outcome && *outcome) return true;
    at->home.post([at, outcome = std::move(outcome)] { send_selected(at, outcome); });
    return false;
  });
  if (!accepted) refuse_selected(at, base::Error(Errc::kTooManyRequests));
}

}  // namespace

void count_range(Member& member, const RangeTimes& times, bool success) {
  member.metrics().range_reads.observe(RequestKind::kRange, success, times.ended - times.begun);
  member.metrics().requests.observe(RequestKind::kRange, success, times.ended - times.asked);
}

void count_range(Member& member, const RangeReply& reply, bool success) {
  count_range(member, {.asked = reply.asked, .begun = reply.begun, .ended = member.clock().now()}, success);
}

void refuse_range(Member& member, net::GrpcCall& call, const base::Error& error) {
  if (is_fatal(error)) member.failure().report("database cannot be read", error);
  call.finish(status_of(error));
}

void answer_in_key_order(RangeShared& shared, net::GrpcCall& call, const RangeRequest& request, mvcc::RangeReader& reader,
                         const RangeReply& reply) {
  mvcc::RangeCursor cursor(mvcc::KeyRange::of(request.key(), request.range_end()), range_options(request),
                           mvcc::RangeCursor::Hold::kPin);
  const auto started = cursor.start(shared.member.views(), reader);
  if (!started) return refuse(shared.member, call, reply, started.error());
  const auto measured = cursor.measure(reader, kKeysPerSlice);
  if (!measured) return refuse(shared.member, call, reply, measured.error());
  if (*measured) return send_measured(shared.member, call, std::move(cursor), reader, reply);
  measure_on(shared, Measured{call.ref(), std::move(cursor)}, reply);
}

void answer_selected(RangeShared& shared, net::GrpcCall& call, const RangeRequest& request, mvcc::RangeReader& reader,
                     const RangeReply& reply) {
  std::int64_t keys = 0;
  {
    auto pin = pin_range(shared.member, request, reader);
    if (!pin) return refuse(shared.member, call, reply, pin.error());
    const mvcc::RangeAnswer& answer = pin->answer();
    RangeSelector selector(request, answer.revision);
    auto arranged = selector.walk(reader, kKeysPerReaderSlice);
    const bool small = arranged && *arranged && selector.total_bytes() < kWorthStreaming;
    if (small) arranged = selector.arrange(reader, kKeysPerReaderSlice);
    if (!arranged) return refuse(shared.member, call, reply, arranged.error());
    if (small && *arranged) {
      count_range(shared.member, reply, true);
      std::string bytes;
      reply.header(answer.current_revision, bytes);
      while (!selector.done())
        if (const auto added = selector.append_next(reader, bytes); !added) return refuse(shared.member, call, reply, added.error());
      append_range_end(selector.more(), answer.count, bytes);
      return call.reply(std::move(bytes));
    }
    keys = request.limit() > 0 ? std::min(request.limit(), answer.count) : answer.count;
  }
  const auto at = std::make_shared<Selected>(shared, call, request, reply);
  call.set_on_cancelled([at](net::CancelReason) { at->cancelled = true; });
  shared.budget.acquire(static_cast<std::size_t>(keys) * RangeSelector::kBytesPerKey, [at](SelectionBudget::Share share) {
    at->share = std::move(share);
    at->home.post([at] { begin_selected(at); });
  });
}

}  // namespace etcdpp::server
