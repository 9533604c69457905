#pragma once

#include <functional>
#include <memory>

#include <etcdserverpb/rpc.pb.h>

#include <etcdpp/base/result.h>
#include <etcdpp/client/errc.h>
#include <etcdpp/client/options.h>

namespace etcdpp::client {

struct Connections;
class WatchStream;

/// A connection to a cluster: every unary call of etcd's client API, with retries and failover, as a plain function
/// from request message to response message.
///
/// A call first waits for an endpoint that is connected, in the order of the list starting at the one that worked last;
/// until then nothing was sent and any request may move on. Once it was sent, an answer of Unavailable leaves open
/// whether it was done: calls that change nothing are then repeated on the next endpoint, others report the error.
/// After each majority of the endpoints failed, it waits Options::retry_wait.
///
/// Threads: any; calls block and may overlap. Outlives its streams (WatchStream, LeaseKeeper).
/// Errors: StatusCode with the server's description. A call's own timeout is kDeadlineExceeded
/// "context deadline exceeded", whatever it waited for.
/// etcd: clientv3.Client; no balancer thread, no automatic endpoint sync.
///
///     auto client = client::Client::open({.endpoints = {"127.0.0.1:2379"}});
///     etcdserverpb::PutRequest put;
///     put.set_key("greeting");
///     put.set_value("hello");
///     auto done = (*client)->put(put, {.timeout = std::chrono::seconds(5)});
class Client {
 public:
  /// Reads endpoints and TLS files; dials nothing yet. Errors: Errc::kNoEndpoints, kBadEndpoint, kTlsFile.
  static base::Result<std::unique_ptr<Client>> open(Options options);

  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  const Options& options() const { return options_; }

  // KV
  base::Result<etcdserverpb::RangeResponse> range(const etcdserverpb::RangeRequest& request, CallOptions how = {});
  base::Result<etcdserverpb::PutResponse> put(const etcdserverpb::PutRequest& request, CallOptions how = {});
  base::Result<etcdserverpb::DeleteRangeResponse> delete_range(const etcdserverpb::DeleteRangeRequest& request,
                                                               CallOptions how = {});
  /// Repeated on another endpoint only if it writes nothing.
  base::Result<etcdserverpb::TxnResponse> txn(const etcdserverpb::TxnRequest& request, CallOptions how = {});
  base::Result<etcdserverpb::CompactionResponse> compact(const etcdserverpb::CompactionRequest& request,
                                                         CallOptions how = {});
  /// A range in chunks, each given to `chunk` as it comes; not repeated after the first. Servers before v3.7 answer
  /// kUnimplemented.
  base::Result<> range_stream(const etcdserverpb::RangeRequest& request,
                              const std::function<void(const etcdserverpb::RangeResponse&)>& chunk,
                              CallOptions how = {});

  // Lease
  base::Result<etcdserverpb::LeaseGrantResponse> lease_grant(const etcdserverpb::LeaseGrantRequest& request,
                                                             CallOptions how = {});
  base::Result<etcdserverpb::LeaseRevokeResponse> lease_revoke(const etcdserverpb::LeaseRevokeRequest& request,
                                                               CallOptions how = {});
  base::Result<etcdserverpb::LeaseTimeToLiveResponse> lease_time_to_live(
      const etcdserverpb::LeaseTimeToLiveRequest& request, CallOptions how = {});
  base::Result<etcdserverpb::LeaseLeasesResponse> lease_leases(const etcdserverpb::LeaseLeasesRequest& request,
                                                               CallOptions how = {});
  /// One renewal. An answer with TTL 0 says that the lease is gone.
  base::Result<etcdserverpb::LeaseKeepAliveResponse> lease_keep_alive_once(
      const etcdserverpb::LeaseKeepAliveRequest& request, CallOptions how = {});

  // Cluster
  base::Result<etcdserverpb::MemberListResponse> member_list(const etcdserverpb::MemberListRequest& request,
                                                             CallOptions how = {});
  base::Result<etcdserverpb::MemberAddResponse> member_add(const etcdserverpb::MemberAddRequest& request,
                                                           CallOptions how = {});
  base::Result<etcdserverpb::MemberRemoveResponse> member_remove(const etcdserverpb::MemberRemoveRequest& request,
                                                                 CallOptions how = {});
  base::Result<etcdserverpb::MemberUpdateResponse> member_update(const etcdserverpb::MemberUpdateRequest& request,
                                                                 CallOptions how = {});
  base::Result<etcdserverpb::MemberPromoteResponse> member_promote(const etcdserverpb::MemberPromoteRequest& request,
                                                                   CallOptions how = {});

  // Maintenance: about the member that answers, so open a Client with one endpoint to ask a certain one.
  base::Result<etcdserverpb::AlarmResponse> alarm(const etcdserverpb::AlarmRequest& request, CallOptions how = {});
  base::Result<etcdserverpb::StatusResponse> status(const etcdserverpb::StatusRequest& request, CallOptions how = {});
  /// Takes as long as it takes: give `how` the time.
  base::Result<etcdserverpb::DefragmentResponse> defragment(const etcdserverpb::DefragmentRequest& request,
                                                            CallOptions how = {});
  base::Result<etcdserverpb::HashKVResponse> hash_kv(const etcdserverpb::HashKVRequest& request, CallOptions how = {});

 private:
  friend class WatchStream;

  Client(Options options, std::unique_ptr<Connections> connections);

  Options options_;
  std::unique_ptr<Connections> connections_;
};

}  // namespace etcdpp::client
