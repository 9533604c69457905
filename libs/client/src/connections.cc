#include "connections.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <etcdpp/client/errc.h>

#include "retry.h"

namespace etcdpp::client {
namespace {

base::Result<std::string> read_file(const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path, std::ios::binary);
  if (!file) return base::Error(Errc::kTlsFile, "open " + path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

base::Result<std::shared_ptr<grpc::ChannelCredentials>> tls_credentials(const TlsOptions& tls) {
  ETCDPP_ASSIGN(std::string ca, read_file(tls.ca_file));
  ETCDPP_ASSIGN(std::string cert, read_file(tls.cert_file));
  ETCDPP_ASSIGN(std::string key, read_file(tls.key_file));
  if (!tls.skip_verify) {
    grpc::SslCredentialsOptions options{.pem_root_certs = ca, .pem_private_key = key, .pem_cert_chain = cert};
    return grpc::SslCredentials(options);
  }
  namespace experimental = grpc::experimental;
  experimental::TlsChannelCredentialsOptions options;
  options.set_verify_server_certs(false);
  options.set_check_call_host(false);
  options.set_certificate_verifier(std::make_shared<experimental::NoOpCertificateVerifier>());
  if (!cert.empty()) {
    options.set_certificate_provider(std::make_shared<experimental::StaticDataCertificateProvider>(
        ca, std::vector<experimental::IdentityKeyCertPair>{{key, cert}}));
    options.watch_identity_key_cert_pairs();
  }
  return experimental::TlsCredentials(options);
}

grpc::ChannelArguments channel_arguments(const Options& options) {
  // Servers close connections that ping more often than every 5 s; Go's client never pings below 10 s.
  constexpr std::chrono::milliseconds kLeastKeepaliveTime{10000};
  grpc::ChannelArguments arguments;
  if (options.keepalive_time.count() > 0) {
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                     static_cast<int>(std::max(options.keepalive_time, kLeastKeepaliveTime).count()));
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(options.keepalive_timeout.count()));
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  }
  arguments.SetMaxSendMessageSize(static_cast<int>(std::clamp<std::int64_t>(options.max_send_bytes, 0, 2147483647)));
  arguments.SetMaxReceiveMessageSize(
      static_cast<int>(std::clamp<std::int64_t>(options.max_receive_bytes, 0, 2147483647)));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 3000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  if (!options.tls.server_name.empty()) arguments.SetSslTargetNameOverride(options.tls.server_name);
  return arguments;
}

}  // namespace

Connection::Connection(Endpoint where, std::shared_ptr<grpc::Channel> to)
    : endpoint(std::move(where)), channel(std::move(to)), stubs(channel, channel, channel, channel, channel, channel) {}

base::Result<std::unique_ptr<Connections>> Connections::open(const Options& options) {
  ETCDPP_ASSIGN(auto endpoints, parse_endpoints(options.endpoints));
  const grpc::ChannelArguments arguments = channel_arguments(options);
  auto plain = grpc::InsecureChannelCredentials();
  std::shared_ptr<grpc::ChannelCredentials> secure;
  auto connections = std::make_unique<Connections>();
  for (Endpoint& endpoint : endpoints) {
    const bool use_tls =
        endpoint.tls == EndpointTls::kOn || (endpoint.tls == EndpointTls::kByOptions && options.tls.enabled);
    if (use_tls && !secure) {
      ETCDPP_ASSIGN(secure, tls_credentials(options.tls));
    }
    auto channel = grpc::CreateCustomChannel(endpoint.target, use_tls ? secure : plain, arguments);
    connections->all.push_back(std::make_unique<Connection>(std::move(endpoint), std::move(channel)));
  }
  connections->token_ = options.token;
  return connections;
}

Connection* Connections::wait_connected(std::optional<Clock::time_point> deadline, const std::atomic<bool>* stop) {
  const std::size_t first = preferred.load();
  std::size_t waited_on = first;
  const auto slice = all.size() == 1 && !stop ? std::chrono::milliseconds(1000) : std::chrono::milliseconds(50);
  for (;;) {
    if (stop && stop->load()) return nullptr;
    std::vector<grpc_connectivity_state> states(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::size_t at = (first + i) % all.size();
      states[at] = all[at]->channel->GetState(/*try_to_connect=*/true);
      if (states[at] == GRPC_CHANNEL_READY) {
        preferred = at;
        return all[at].get();
      }
    }
    const auto now = Clock::now();
    if (deadline && now >= *deadline) return nullptr;
    auto until = now + slice;
    if (deadline) until = std::min(until, *deadline);
    all[waited_on]->channel->WaitForStateChange(states[waited_on], until);
    waited_on = (waited_on + 1) % all.size();
  }
}

void Connections::avoid(const Connection& connection) {
  const std::size_t at = preferred.load();
  if (all[at].get() == &connection) preferred = (at + 1) % all.size();
}

base::Result<> Connections::authenticate(const Options& options, std::optional<Clock::time_point> deadline) {
  if (options.username.empty()) return {};
  {
    std::lock_guard lock(mutex_);
    if (!token_.empty()) return {};
  }
  auto limit = Clock::now() + options.dial_timeout;
  if (deadline) limit = std::min(limit, *deadline);
  Connection* connection = wait_connected(limit);
  if (!connection) return deadline_error();
  grpc::ClientContext context;
  context.set_deadline(limit);
  etcdserverpb::AuthenticateRequest request;
  request.set_name(options.username);
  request.set_password(options.password);
  etcdserverpb::AuthenticateResponse response;
  auto status = std::get<etcdserverpb::Auth::Stub>(connection->stubs).Authenticate(&context, request, &response);
  if (!status.ok()) {
    // A cluster without auth takes calls without a token.
    if (status.error_message() == "etcdserver: authentication is not enabled") return {};
    return status_error(status);
  }
  std::lock_guard lock(mutex_);
  token_ = response.token();
  return {};
}

void Connections::forget_token() {
  std::lock_guard lock(mutex_);
  token_.clear();
}

void Connections::add_metadata(grpc::ClientContext& context, bool require_leader) {
  if (require_leader) context.AddMetadata("hasleader", "true");
  std::lock_guard lock(mutex_);
  if (!token_.empty()) context.AddMetadata("token", token_);
}

std::chrono::milliseconds Connections::retry_wait(unsigned attempt, std::chrono::milliseconds wait) {
  std::lock_guard lock(mutex_);
  return wait_before_attempt(attempt, all.size(), wait, random_);
}

base::Error status_error(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED && status.error_message() == "Deadline Exceeded")
    return deadline_error();
  return base::Error(static_cast<StatusCode>(status.error_code()), status.error_message());
}

base::Error deadline_error() {
  return base::Error(StatusCode::kDeadlineExceeded, "context deadline exceeded");
}

}  // namespace etcdpp::client
