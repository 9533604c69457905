#include <etcdpp/config/supported.h>

#include <algorithm>
#include <string_view>

#include <etcdpp/config/errc.h>

#include "flag_table.h"

namespace etcdpp::config {

namespace {

// Every flag that is parsed and validated but does nothing yet. A flag leaves this list together with the change that
// makes it do what it says. Flags that need no effect here (the freelist of a bbolt file that this server does not
// have, the gateway that may only be turned off) are not in it.
constexpr std::string_view kNotYet[] = {
    "socket-reuse-port",
    "socket-reuse-address",
    "raft-read-timeout",
    "raft-write-timeout",
    "listen-client-http-urls",
    "discovery-token",
    "discovery-endpoints",
    "discovery-srv",
    "discovery-srv-name",
    "cert-file",
    "key-file",
    "client-cert-auth",
    "client-cert-file",
    "client-key-file",
    "client-crl-file",
    "client-cert-allowed-hostname",
    "trusted-ca-file",
    "auto-tls",
    "peer-cert-file",
    "peer-key-file",
    "peer-client-cert-auth",
    "peer-client-cert-file",
    "peer-client-key-file",
    "peer-trusted-ca-file",
    "peer-cert-allowed-cn",
    "peer-cert-allowed-hostname",
    "peer-auto-tls",
    "peer-crl-file",
    "peer-skip-client-san-verification",
    "cipher-suites",
    "cors",
    "host-whitelist",
    "tls-min-version",
    "tls-max-version",
    "auth-token",
    "auth-token-ttl",
    "enable-pprof",
    "enable-log-rotation",
    "enable-distributed-tracing",
    "corrupt-check-time",
    "compact-hash-check-time",
    "downgrade-check-time",
    "force-new-cluster",
};

// Gates that do what they say; one only says how etcd copies a buffer, and has nothing to say here.
constexpr bool FeatureGates::*kGatesInEffect[] = {
    &FeatureGates::fast_lease_keep_alive,
    &FeatureGates::lease_checkpoint,
    &FeatureGates::lease_checkpoint_persist,
    &FeatureGates::priority_request,
    &FeatureGates::stop_grpc_service_on_defrag,
    &FeatureGates::txn_mode_write_with_shared_buffer,
};

base::Error not_yet(std::string what) { return {Errc::kNotSupportedYet, std::move(what)}; }

}  // namespace

base::Result<> check_supported(const Config& config) {
  const Config defaults;
  for (const Flag& flag : flag_table()) {
    if (std::find(std::begin(kNotYet), std::end(kNotYet), flag.name) == std::end(kNotYet)) continue;
    const std::string value = flag_text(flag, config);
    if (value != flag_text(flag, defaults)) return not_yet("--" + std::string(flag.name) + "=" + value);
  }
  FeatureGates without = config.feature_gates;
  for (bool FeatureGates::*gate : kGatesInEffect) without.*gate = defaults.feature_gates.*gate;
  if (without != defaults.feature_gates) return not_yet("--feature-gates=" + config.feature_gates_text);
  for (const auto* urls : {&config.listen_client_urls, &config.listen_peer_urls, &config.listen_metrics_urls}) {
    for (const Url& url : *urls) {
      if (url.tls()) return not_yet("TLS, needed to listen on " + url.text());
    }
  }
  for (const std::string& output : config.log_outputs) {
    if (output == "systemd/journal") return not_yet("--log-outputs=" + output);
  }
  if (const auto members = config.members(); members && members->size() > 1) {
    return not_yet("a cluster of more than one member, --initial-cluster=" + config.effective_initial_cluster());
  }
  return {};
}

}  // namespace etcdpp::config
