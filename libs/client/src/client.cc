#include <etcdpp/client/client.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "connections.h"
#include "retry.h"

namespace etcdpp::client {
namespace {

namespace pb = etcdserverpb;

void warn(const Options& options, const std::string& address, const char* method, unsigned attempt,
          const base::Error& error) {
  if (!options.logger) return;
  options.logger->warn("retrying of unary invoker failed", {{"target", "etcd-endpoints://" + address},
                                                            {"method", method},
                                                            {"attempt", attempt},
                                                            {"error", status_text(error)}});
}

std::optional<Clock::time_point> deadline_of(const CallOptions& how) {
  if (how.timeout.count() <= 0) return std::nullopt;
  return Clock::now() + how.timeout;
}

/// Runs one call by the rules of the header: `send` makes one attempt on a connected endpoint.
template <class Send>
base::Result<> run(Connections& connections, const Options& options, CallOptions how, RetryRule rule,
                   const char* method, Send send) {
  const auto deadline = deadline_of(how);
  bool renewed_token = false;
  for (unsigned attempt = 0;; ++attempt) {
    ETCDPP_TRY(connections.authenticate(options, deadline));
    Connection* connection = connections.wait_connected(deadline);
    if (!connection) {
      warn(options, connections.all[connections.preferred]->endpoint.address, method, attempt,
           base::Error(StatusCode::kDeadlineExceeded, "no endpoint could be connected"));
      return deadline_error();
    }

    grpc::ClientContext context;
    if (deadline) context.set_deadline(*deadline);
    connections.add_metadata(context, how.require_leader);
    const grpc::Status status = send(*connection, context);
    if (status.ok()) return {};

    base::Error error = status_error(status);
    warn(options, connection->endpoint.address, method, attempt, error);
    if (wants_new_token(error) && !options.username.empty() && !renewed_token) {
      renewed_token = true;
      connections.forget_token();
      continue;
    }
    if (!may_retry(rule, error) || attempt + 1 >= options.max_retries) return error;
    connections.avoid(*connection);
    auto wait = connections.retry_wait(attempt + 1, options.retry_wait);
    if (deadline && Clock::now() + wait >= *deadline) return deadline_error();
    std::this_thread::sleep_for(wait);
  }
}

template <class Stub, class Request, class Response>
base::Result<Response> unary(Connections& connections, const Options& options, const CallOptions& how, RetryRule rule,
                             const char* method,
                             grpc::Status (Stub::*call)(grpc::ClientContext*, const Request&, Response*),
                             const Request& request) {
  Response response;
  ETCDPP_TRY(run(connections, options, how, rule, method, [&](Connection& connection, grpc::ClientContext& context) {
    return (std::get<Stub>(connection.stubs).*call)(&context, request, &response);
  }));
  return response;
}

bool writes(const pb::TxnRequest& txn);

bool writes(const google::protobuf::RepeatedPtrField<pb::RequestOp>& ops) {
  return std::any_of(ops.begin(), ops.end(), [](const pb::RequestOp& op) {
    return op.has_request_put() || op.has_request_delete_range() || (op.has_request_txn() && writes(op.request_txn()));
  });
}

bool writes(const pb::TxnRequest& txn) {
  return writes(txn.success()) || writes(txn.failure());
}

}  // namespace

Client::Client(Options options, std::unique_ptr<Connections> connections)
    : options_(std::move(options)), connections_(std::move(connections)) {}

Client::~Client() = default;

base::Result<std::unique_ptr<Client>> Client::open(Options options) {
  ETCDPP_ASSIGN(auto connections, Connections::open(options));
  return std::unique_ptr<Client>(new Client(std::move(options), std::move(connections)));
}

// The unary calls differ in name, messages and rule only.
#define ETCDPP_CLIENT_CALL(function, service, rpc, request_type, response_type, rule)                             \
  base::Result<pb::response_type> Client::function(const pb::request_type& request, CallOptions how) {            \
    return unary(*connections_, options_, how, rule, "/etcdserverpb." #service "/" #rpc, &pb::service::Stub::rpc, \
                 request);                                                                                        \
  }

ETCDPP_CLIENT_CALL(range, KV, Range, RangeRequest, RangeResponse, RetryRule::kReadOnly)
ETCDPP_CLIENT_CALL(put, KV, Put, PutRequest, PutResponse, RetryRule::kOnce)
ETCDPP_CLIENT_CALL(delete_range, KV, DeleteRange, DeleteRangeRequest, DeleteRangeResponse, RetryRule::kOnce)
ETCDPP_CLIENT_CALL(txn, KV, Txn, TxnRequest, TxnResponse, writes(request) ? RetryRule::kOnce : RetryRule::kReadOnly)
ETCDPP_CLIENT_CALL(compact, KV, Compact, CompactionRequest, CompactionResponse, RetryRule::kOnce)

ETCDPP_CLIENT_CALL(lease_grant, Lease, LeaseGrant, LeaseGrantRequest, LeaseGrantResponse, RetryRule::kOnce)
ETCDPP_CLIENT_CALL(lease_revoke, Lease, LeaseRevoke, LeaseRevokeRequest, LeaseRevokeResponse, RetryRule::kOnce)
ETCDPP_CLIENT_CALL(lease_time_to_live, Lease, LeaseTimeToLive, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
                   RetryRule::kReadOnly)
ETCDPP_CLIENT_CALL(lease_leases, Lease, LeaseLeases, LeaseLeasesRequest, LeaseLeasesResponse, RetryRule::kReadOnly)

ETCDPP_CLIENT_CALL(member_list, Cluster, MemberList, MemberListRequest, MemberListResponse, RetryRule::kReadOnly)
ETCDPP_CLIENT_CALL(member_add, Cluster, MemberAdd, MemberAddRequest, MemberAddResponse, RetryRule::kOnce)
ETCDPP_CLIENT_CALL(member_remove, Cluster, MemberRemove, MemberRemoveRequest, MemberRemoveResponse, RetryRule::kOnce)
ETCDPP_CLIENT_CALL(member_update, Cluster, MemberUpdate, MemberUpdateRequest, MemberUpdateResponse, RetryRule::kOnce)
ETCDPP_CLIENT_CALL(member_promote, Cluster, MemberPromote, MemberPromoteRequest, MemberPromoteResponse,
                   RetryRule::kOnce)

ETCDPP_CLIENT_CALL(alarm, Maintenance, Alarm, AlarmRequest, AlarmResponse,
                   request.action() == pb::AlarmRequest::GET ? RetryRule::kReadOnly : RetryRule::kOnce)
ETCDPP_CLIENT_CALL(status, Maintenance, Status, StatusRequest, StatusResponse, RetryRule::kReadOnly)
ETCDPP_CLIENT_CALL(defragment, Maintenance, Defragment, DefragmentRequest, DefragmentResponse, RetryRule::kOnce)
ETCDPP_CLIENT_CALL(hash_kv, Maintenance, HashKV, HashKVRequest, HashKVResponse, RetryRule::kReadOnly)

#undef ETCDPP_CLIENT_CALL

base::Result<> Client::range_stream(const pb::RangeRequest& request,
                                    const std::function<void(const pb::RangeResponse&)>& chunk, CallOptions how) {
  bool begun = false;
  return run(*connections_, options_, how, RetryRule::kReadOnly, "/etcdserverpb.KV/RangeStream",
             [&](Connection& connection, grpc::ClientContext& context) {
               auto reader = std::get<pb::KV::Stub>(connection.stubs).RangeStream(&context, request);
               pb::RangeStreamResponse response;
               while (reader->Read(&response)) {
                 begun = true;
                 chunk(response.range_response());
               }
               grpc::Status status = reader->Finish();
               if (!status.ok() && begun) return grpc::Status(grpc::StatusCode::ABORTED, status.error_message());
               return status;
             });
}

base::Result<pb::LeaseKeepAliveResponse> Client::lease_keep_alive_once(const pb::LeaseKeepAliveRequest& request,
                                                                       CallOptions how) {
  pb::LeaseKeepAliveResponse response;
  ETCDPP_TRY(run(*connections_, options_, how, RetryRule::kReadOnly, "/etcdserverpb.Lease/LeaseKeepAlive",
                 [&](Connection& connection, grpc::ClientContext& context) {
                   auto stream = std::get<pb::Lease::Stub>(connection.stubs).LeaseKeepAlive(&context);
                   const bool answered = stream->Write(request) && stream->Read(&response);
                   stream->WritesDone();
                   if (answered) context.TryCancel();
                   grpc::Status status = stream->Finish();
                   if (answered) return grpc::Status::OK;
                   if (status.ok())
                     return grpc::Status(grpc::StatusCode::UNAVAILABLE, "stream ended without an answer");
                   return status;
                 }));
  return response;
}

}  // namespace etcdpp::client
