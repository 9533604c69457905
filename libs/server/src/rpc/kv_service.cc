// Hop 3 of a Put: see docs/LIFE_OF_A_PUT.md.
#include "kv_service.h"

#include <etcdpp/mvcc/range_reader.h>

#include "../apply/quota.h"
#include "../apply/requests.h"
#include "../errc.h"
#include "../range_executor.h"
#include "../range_selector.h"
#include "range_stream.h"
#include "validation.h"

namespace etcdpp::server {

void KvService::add_to(net::GrpcServer& server) {
  const auto bind = [this](void (KvService::*method)(net::CallRef, std::string_view)) {
    return [this, method](net::CallRef call, std::string_view message) { (this->*method)(std::move(call), message); };
  };
  server.unary("/etcdserverpb.KV/Range", bind(&KvService::range));
  server.server_stream("/etcdserverpb.KV/RangeStream", bind(&KvService::range_stream));
  server.unary("/etcdserverpb.KV/Put", bind(&KvService::put));
  server.unary("/etcdserverpb.KV/DeleteRange", bind(&KvService::delete_range));
  server.unary("/etcdserverpb.KV/Txn", bind(&KvService::txn));
  server.unary("/etcdserverpb.KV/Compact", bind(&KvService::compact));
}

void KvService::add_thread(net::IoThread& thread) {
  SmallReads& reads = small_reads_.try_emplace(&thread, member_, header_writer()).first->second;
  // Not at the end of the batch: it may bring reads that the leader's confirmation has just let begin.
  thread.on_write_phase([&reads] { reads.answer(); });
}

void KvService::range(net::CallRef call, std::string_view message) {
  etcdserverpb::RangeRequest request;
  if (!parse_request(request, message, *call)) return;
  if (const auto checked = check_range_request(request); !checked) return refuse(*call, checked.error());
  const base::Instant asked = member_.clock().now();
  if (request.serializable()) return begin_range(std::move(call), request, asked);
  when_linearizable(std::move(call),
                    [this, request = std::move(request), asked](net::GrpcCall& ready) { begin_range(ready.ref(), request, asked); });
}

void KvService::begin_range(net::CallRef call, const etcdserverpb::RangeRequest& request, base::Instant asked) {
  if (!SmallReads::takes(request)) return answer_range(*call, request, asked);
  SmallReads& together = small_reads_.at(&call->executor());
  together.add(std::move(call), request, asked);
}

void KvService::answer_range(net::GrpcCall& call, const etcdserverpb::RangeRequest& request, base::Instant asked) {
  const RangeReply how{header_writer(), asked, request.serializable() ? asked : member_.clock().now()};
  auto reader = mvcc::RangeReader::open(member_.views());
  if (!reader) return refuse(call, reader.error());
  member_.metrics().ranges.add();
  if (RangeSelector::needed(request)) return answer_selected(shared_, call, request, *reader, how);
  if (is_plain(request) && !request.range_end().empty()) return answer_in_key_order(shared_, call, request, *reader, how);
  const auto selection = select_range(*reader, request);
  count_range(member_, how, selection.has_value());
  if (!selection) return refuse_range(member_, call, selection.error());
  std::string bytes;
  append_header(selection->current_revision, bytes);
  append_selection(*selection, bytes);
  call.reply(std::move(bytes));
}

HeaderWriter KvService::header_writer() const {
  return [this](std::int64_t revision, std::string& out) { append_header(revision, out); };
}

void KvService::range_stream(net::CallRef call, std::string_view message) {
  etcdserverpb::RangeRequest request;
  if (!parse_request(request, message, *call)) return;
  if (const auto checked = check_range_stream_request(request); !checked) return refuse(*call, checked.error());
  const auto start = [this, request](net::GrpcCall& ready) {
    RangeStream::start(member_, ready, request, header_writer());
  };
  if (request.serializable()) return start(*call);
  when_linearizable(std::move(call), start);
}

void KvService::put(net::CallRef call, std::string_view message) {
  etcdserverpb::PutRequest request;
  if (!parse_request(request, message, *call)) return;
  if (const auto checked = check_put_request(request); !checked) return refuse(*call, checked.error());
  if (!has_space(call, quota_cost(request))) return;
  propose<etcdserverpb::PutResponse>(std::move(call), RequestField::kPut, message);
}

void KvService::delete_range(net::CallRef call, std::string_view message) {
  etcdserverpb::DeleteRangeRequest request;
  if (!parse_request(request, message, *call)) return;
  if (const auto checked = check_delete_range_request(request); !checked) return refuse(*call, checked.error());
  propose<etcdserverpb::DeleteRangeResponse>(std::move(call), RequestField::kDeleteRange, message);
}

void KvService::txn(net::CallRef call, std::string_view message) {
  // Decoding recurses, so depth is counted first; no transaction this deep is within any budget.
  if (nesting_depth_of_txns(message, kMaxTxnDepth) >= kMaxTxnDepth) return refuse(*call, base::Error(Errc::kTooManyOperations));
  etcdserverpb::TxnRequest request;
  if (!parse_deep(request, message)) {
    call->finish(net::StatusCode::kInternal, "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data");
    return;
  }
  if (const auto checked = check_txn_request(request, member_.config().max_txn_ops); !checked) return refuse(*call, checked.error());
  if (is_read_only(request)) {
    const base::Instant asked = member_.clock().now();
    if (is_serializable(request)) return answer_txn(*call, request, asked);
    when_linearizable(std::move(call), [this, request = std::move(request), asked](net::GrpcCall& ready) { answer_txn(ready, request, asked); });
    return;
  }
  if (!has_space(call, quota_cost(request))) return;
  propose<etcdserverpb::TxnResponse>(std::move(call), RequestField::kTxn, message);
}

void KvService::answer_txn(net::GrpcCall& call, const etcdserverpb::TxnRequest& request, base::Instant asked) {
  const auto reader = mvcc::RangeReader::open(member_.views());
  if (!reader) return refuse(call, reader.error());
  etcdserverpb::TxnResponse response;
  const auto done = run_read_only_txn(*reader, request, response);
  member_.metrics().requests.observe(RequestKind::kReadonlyTxn, done.has_value(), member_.clock().now() - asked);
  if (!done) {
    if (is_fatal(done.error())) member_.failure().report("database cannot be read", done.error());
    return refuse(call, done.error());
  }
  member_.metrics().count({.ranges = static_cast<std::uint64_t>(response.responses_size())});
  complete(*response.mutable_header());
  reply(call, response);
}

void KvService::compact(net::CallRef call, std::string_view message) {
  etcdserverpb::CompactionRequest request;
  if (!parse_request(request, message, *call)) return;
  propose<etcdserverpb::CompactionResponse>(std::move(call), RequestField::kCompaction, message);
}

}  // namespace etcdpp::server
