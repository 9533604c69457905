#include "lease_service.h"

#include <deque>
#include <memory>

#include <etcdpp/lease/errc.h>
#include <etcdpp/lease/lessor.h>

#include "../apply/quota.h"
#include "../errc.h"

namespace etcdpp::server {

namespace {
/// Renewals of one stream that wait for their turn; above it the stream's window closes.
constexpr std::size_t kMaxWaitingRenewals = 1000;
}  // namespace

/// One LeaseKeepAlive call: one answer a message, in their order, so the next is looked at when the last is answered.
class KeepAliveStream final : public net::GrpcStream {
 public:
  KeepAliveStream(LeaseService& service, net::GrpcCall& call) : service_(service), shared_(std::make_shared<Shared>()) {
    shared_->call = &call;
  }
  ~KeepAliveStream() override { shared_->call = nullptr; }

  void on_message(std::string_view message) override {
    net::GrpcCall& call = *shared_->call;
    etcdserverpb::LeaseKeepAliveRequest request;
    if (!parse_request(request, message, call)) return;
    shared_->waiting.push_back(request.id());
    if (shared_->waiting.size() >= kMaxWaitingRenewals) call.pause_receiving(true);
    if (shared_->waiting.size() == 1) renew_first(service_, shared_);
  }
  void on_half_close() override {
    shared_->half_closed = true;
    if (shared_->waiting.empty()) shared_->call->finish(net::StatusCode::kOk);
  }

 private:
  struct Shared {
    net::GrpcCall* call = nullptr;  // null when the stream is gone
    std::deque<lease::LeaseId> waiting;
    bool half_closed = false;
  };

  static void renew_first(LeaseService& service, const std::shared_ptr<Shared>& shared) {
    // The header is of the time before the renewal, as in etcd.
    etcdserverpb::LeaseKeepAliveResponse response;
    *response.mutable_header() = service.header(service.member_.views().revision());
    const lease::LeaseId id = shared->waiting.front();
    response.set_id(id);
    net::Executor& home = shared->call->executor();
    auto answer = [&service, shared, response = std::move(response), &home](base::Result<std::int64_t> ttl) mutable {
      service.member_.apply_loop().answers().add(
          &home, [&service, shared = std::move(shared), response = std::move(response), ttl = std::move(ttl)]() mutable {
            answered(service, shared, response, ttl);
          });
    };
    service.member_.apply_loop().post([&service, id, answer = std::move(answer)](ApplyLoop&) mutable {
      service.member_.primary_lessor().renew(id, std::move(answer));
    });
    service.member_.wake_core();
  }

  static void answered(LeaseService& service, const std::shared_ptr<Shared>& shared, etcdserverpb::LeaseKeepAliveResponse& response,
                       const base::Result<std::int64_t>& ttl) {
    if (!shared->call || shared->call->done()) return;
    net::GrpcCall& call = *shared->call;
    shared->waiting.pop_front();
    if (!ttl) return LeaseService::refuse(call, ttl.error());
    response.set_ttl(*ttl);
    call.send_message(response.SerializeAsString());
    if (shared->waiting.size() == kMaxWaitingRenewals / 2) call.pause_receiving(false);
    if (!shared->waiting.empty()) renew_first(service, shared);
    else if (shared->half_closed) call.finish(net::StatusCode::kOk);
  }

  LeaseService& service_;
  std::shared_ptr<Shared> shared_;
};

void LeaseService::add_to(net::GrpcServer& server) {
  const auto bind = [this](void (LeaseService::*method)(net::CallRef, std::string_view)) {
    return [this, method](net::CallRef call, std::string_view message) { (this->*method)(std::move(call), message); };
  };
  server.unary("/etcdserverpb.Lease/LeaseGrant", bind(&LeaseService::grant));
  server.unary("/etcdserverpb.Lease/LeaseRevoke", bind(&LeaseService::revoke));
  server.unary("/etcdserverpb.Lease/LeaseTimeToLive", bind(&LeaseService::time_to_live));
  server.unary("/etcdserverpb.Lease/LeaseLeases", bind(&LeaseService::leases));
  server.bidi_stream("/etcdserverpb.Lease/LeaseKeepAlive",
                     [this](net::GrpcCall& call) { return std::make_unique<KeepAliveStream>(*this, call); });
}

void LeaseService::grant(net::CallRef call, std::string_view message) {
  etcdserverpb::LeaseGrantRequest request;
  if (!parse_request(request, message, *call)) return;
  if (!has_space(call, quota_cost(request))) return;
  while (request.id() == 0)
    request.set_id(static_cast<std::int64_t>(member_.proposer().next_id() & 0x7fff'ffff'ffff'ffffULL));
  propose<etcdserverpb::LeaseGrantResponse>(std::move(call), RequestField::kLeaseGrant, request.SerializeAsString());
}

void LeaseService::revoke(net::CallRef call, std::string_view message) {
  etcdserverpb::LeaseRevokeRequest request;
  if (!parse_request(request, message, *call)) return;
  propose<etcdserverpb::LeaseRevokeResponse>(std::move(call), RequestField::kLeaseRevoke, message);
}

void LeaseService::time_to_live(net::CallRef call, std::string_view message) {
  etcdserverpb::LeaseTimeToLiveRequest request;
  if (!parse_request(request, message, *call)) return;
  member_.apply_loop().post([this, call = std::move(call), request](ApplyLoop&) mutable {
    member_.primary_lessor().when_primary([this, call = std::move(call), request](base::Result<> primary) mutable {
      answer_time_to_live(std::move(call), request, std::move(primary));
    });
  });
  member_.wake_core();
}

void LeaseService::answer_time_to_live(net::CallRef call, const etcdserverpb::LeaseTimeToLiveRequest& request, base::Result<> outcome) {
  ApplyLoop& loop = member_.apply_loop();
  const lease::Lessor& lessor = loop.state().lessor;
  etcdserverpb::LeaseTimeToLiveResponse response;
  response.mutable_header()->set_revision(loop.state().store.revision());
  response.set_id(request.id());
  if (outcome) {
    const auto ttl = lessor.time_to_live(request.id(), member_.clock().now());
    if (ttl) {
      response.set_ttl(ttl->ttl_seconds);
      response.set_grantedttl(ttl->granted_ttl_seconds);
      if (request.keys())
        for (base::Bytes& key : lessor.keys(request.id())) response.add_keys(std::move(key));
    } else if (ttl.error().code == lease::Errc::kNotFound) {
      response.set_ttl(-1);
    } else {
      // Demoted while it waited: the client asks again, whoever leads now.
      outcome = base::Error(Errc::kLeaderChanged);
    }
  }
  net::Executor& home = call->executor();
  loop.answers().add(&home, [this, call = std::move(call), response = std::move(response), outcome]() mutable {
    if (!outcome) return refuse(*call, outcome.error());
    complete(*response.mutable_header());
    reply(*call, response);
  });
}

void LeaseService::leases(net::CallRef call, std::string_view message) {
  etcdserverpb::LeaseLeasesRequest request;
  if (!parse_request(request, message, *call)) return;
  member_.apply_loop().post([this, call = std::move(call)](ApplyLoop& loop) mutable {
    etcdserverpb::LeaseLeasesResponse response;
    response.mutable_header()->set_revision(loop.state().store.revision());
    for (const lease::LeaseId id : loop.state().lessor.leases()) response.add_leases()->set_id(id);
    net::Executor& home = call->executor();
    loop.answers().add(&home, [this, call = std::move(call), response = std::move(response)]() mutable {
      complete(*response.mutable_header());
      reply(*call, response);
    });
  });
  member_.wake_core();
}

}  // namespace etcdpp::server
