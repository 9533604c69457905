#include "service.h"

#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/raft/errc.h>

#include "../errc.h"

namespace etcdpp::server {

void Service::complete(etcdserverpb::ResponseHeader& header) const {
  const MemberState& state = member_.state();
  header.set_cluster_id(state.cluster_id);
  header.set_member_id(state.member_id);
  header.set_raft_term(state.term.load(std::memory_order_acquire));
}

etcdserverpb::ResponseHeader Service::header(std::int64_t revision) const {
  etcdserverpb::ResponseHeader header;
  complete(header);
  header.set_revision(revision);
  return header;
}

void Service::append_header(std::int64_t revision, std::string& out) const {
  const etcdserverpb::ResponseHeader h = header(revision);
  out += '\x0a';
  out += static_cast<char>(h.ByteSizeLong());  // at most 4 × 11 bytes
  h.AppendToString(&out);
}

void Service::propose_then(net::CallRef call, RequestField field, std::string_view request, Applied then) {
  net::Executor& home = call->executor();
  const base::Instant begin = member_.clock().now();
  // Only the message knows how to answer; it stays with the call until the entry is applied.
  member_.proposer().propose(
      field, request,
      [this, begin, field, call = std::move(call), then = std::move(then)](base::Result<ResponseMessage> applied) mutable {
        member_.metrics().requests.observe(kind_of(field), applied.has_value(), member_.clock().now() - begin);
        if (!applied && applied.error().code == raft::Errc::kInboxFull) applied = base::Error(Errc::kTooManyRequests);
        then(*call, std::move(applied));
      },
      home);
}

bool Service::has_space(net::CallRef& call, std::uint64_t cost) {
  if (member_.quota().available(member_.backend().sizes().quota, cost)) return true;
  const Alarm alarm{member_.state().member_id, AlarmKind::kNoSpace};
  if (member_.facts()->alarms.active().contains(alarm)) {
    refuse(*call, base::Error(Errc::kNoSpace));
    return false;
  }
  net::Executor& home = call->executor();
  member_.raise_no_space([call = std::move(call), &home]() mutable {
    home.post([call = std::move(call)] { refuse(*call, base::Error(Errc::kNoSpace)); });
  });
  return false;
}

void Service::when_linearizable(net::CallRef call, std::move_only_function<void(net::GrpcCall&)> read) {
  net::Executor& home = call->executor();
  const base::Instant deadline = member_.clock().now() + member_.config().request_timeout();
  member_.read_indexer().request(
      [call = std::move(call), read = std::move(read)](base::Result<> confirmed) mutable {
        if (call->done()) return;
        if (!confirmed) return refuse(*call, confirmed.error());
        read(*call);
      },
      home, deadline);
}

}  // namespace etcdpp::server
