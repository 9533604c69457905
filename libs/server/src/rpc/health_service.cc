#include "health_service.h"

#include <optional>
#include <vector>

#include <healthpb/health.pb.h>

#include "service.h"

namespace etcdpp::server {

namespace {

using grpc::health::v1::HealthCheckResponse;

HealthCheckResponse::ServingStatus status_of(bool serving) {
  return serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

std::string encoded(HealthCheckResponse::ServingStatus status) {
  HealthCheckResponse response;
  response.set_status(status);
  return response.SerializeAsString();
}

}  // namespace

/// One Watch call. Everything but its existence belongs to the call's thread.
class HealthService::Stream {
 public:
  Stream(net::GrpcCall& call, const HealthService& service, bool known)
      : home(call.executor()), call_(call.ref()), service_(service), known_(known) {}

  /// Says what is not said yet, unless the client is still at the last message: then it is said when that has left.
  void say() {
    if (!call_ || call_->done() || call_->pending_send_bytes() != 0) return;
    const auto now = known_ ? status_of(service_.serving_) : HealthCheckResponse::SERVICE_UNKNOWN;
    if (said_ == now) return;
    said_ = now;
    call_->send_message(encoded(now));
  }
  void end() { call_.reset(); }

  net::Executor& home;

 private:
  net::CallRef call_;
  const HealthService& service_;
  const bool known_;
  std::optional<HealthCheckResponse::ServingStatus> said_;
};

HealthService::~HealthService() = default;

void HealthService::add_to(net::GrpcServer& server) {
  server.unary("/grpc.health.v1.Health/Check", [this](net::CallRef call, std::string_view message) { check(*call, message); });
  server.unary("/grpc.health.v1.Health/List", [this](net::CallRef call, std::string_view) { list(*call); });
  server.server_stream("/grpc.health.v1.Health/Watch", [this](net::CallRef call, std::string_view message) { watch(*call, message); });
}

void HealthService::check(net::GrpcCall& call, std::string_view message) {
  grpc::health::v1::HealthCheckRequest request;
  if (!parse_request(request, message, call)) return;
  if (!request.service().empty()) return call.finish(net::StatusCode::kNotFound, "unknown service");
  call.reply(encoded(status_of(serving_)));
}

void HealthService::list(net::GrpcCall& call) {
  grpc::health::v1::HealthListResponse response;
  (*response.mutable_statuses())[""].set_status(status_of(serving_));
  call.reply(response.SerializeAsString());
}

void HealthService::watch(net::GrpcCall& call, std::string_view message) {
  grpc::health::v1::HealthCheckRequest request;
  if (!parse_request(request, message, call)) return;
  const auto stream = std::make_shared<Stream>(call, *this, request.service().empty());
  {
    std::lock_guard lock(mutex_);
    streams_.insert(stream);
  }
  call.set_on_writable(0, [stream] { stream->say(); });
  call.set_on_cancelled([this, stream](net::CancelReason) {
    stream->end();
    std::lock_guard lock(mutex_);
    streams_.erase(stream);
  });
  stream->say();
}

void HealthService::set_serving(bool serving, std::string_view reason) {
  if (serving)
    logger_.info("grpc service status changed", {{"service", ""}, {"status", "SERVING"}});
  else
    logger_.warn("grpc service status changed", {{"service", ""}, {"status", "NOT_SERVING"}, {"reason", reason}});
  serving_ = serving;
  std::vector<std::shared_ptr<Stream>> streams;
  {
    std::lock_guard lock(mutex_);
    streams.assign(streams_.begin(), streams_.end());
  }
  for (auto& stream : streams) {
    net::Executor& home = stream->home;
    home.post([stream = std::move(stream)] { stream->say(); });
  }
}

}  // namespace etcdpp::server
