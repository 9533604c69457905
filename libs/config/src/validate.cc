#include <algorithm>
#include <array>

#include <arpa/inet.h>

#include <etcdpp/config/config.h>
#include <etcdpp/config/errc.h>

#include "go_syntax.h"

namespace etcdpp::config {

namespace {

constexpr milliseconds kMaxElectionTimeout{50000};

base::Error refuse_config(std::string what) { return {Errc::kInvalidConfig, std::move(what)}; }

bool is_ip(std::string host) {
  host = host.substr(0, host.find('%'));  // a zone
  std::array<unsigned char, 16> address;
  return inet_pton(AF_INET, host.c_str(), address.data()) == 1 || inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

/// A listener needs an address of its own: a name might resolve to somebody else's.
base::Result<> check_bind_urls(const std::vector<Url>& urls) {
  for (const Url& url : urls) {
    if (url.unix_socket() || url.hostname() == "localhost" || is_ip(url.hostname())) continue;
    return refuse_config("expected IP in URL for binding (" + url.text() + ")");
  }
  return {};
}

/// The reason, if one of the URLs names no host.
std::string empty_host(const std::vector<Url>& urls) {
  for (const Url& url : urls) {
    if (!url.unix_socket() && url.hostname().empty()) return "unexpected empty host (" + url.text() + ")";
  }
  return {};
}

// The suites that Go's crypto/tls implements, and the two older spellings that etcd accepts.
constexpr std::string_view kCipherSuites[] = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_RC4_128_SHA",
};

base::Result<> check_tls_versions(const Config& config) {
  for (const std::string& version : {config.tls_min_version, config.tls_max_version}) {
    if (version.empty() || version == "TLS1.2" || version == "TLS1.3") continue;
    return refuse_config("unexpected TLS version " + quoted(version) + " (must be one of: TLS1.2, TLS1.3)");
  }
  if (!config.tls_max_version.empty() && config.tls_min_version > config.tls_max_version) {
    return refuse_config("min version (" + config.tls_min_version + ") is greater than max version (" + config.tls_max_version + ")");
  }
  if (config.tls_min_version == "TLS1.3" && !config.cipher_suites.empty()) {
    return refuse_config("cipher suites cannot be configured when only TLS1.3 is enabled");
  }
  return {};
}

base::Result<> check_timing(const Config& config) {
  const auto ms = [](milliseconds d) { return std::to_string(d.count()) + "ms"; };
  if (config.heartbeat_interval.count() <= 0) {
    return refuse_config("--heartbeat-interval must be >0 (set to " + ms(config.heartbeat_interval) + ")");
  }
  if (config.election_timeout.count() <= 0) {
    return refuse_config("--election-timeout must be >0 (set to " + ms(config.election_timeout) + ")");
  }
  if (5 * config.heartbeat_interval > config.election_timeout) {
    return refuse_config("--election-timeout[" + ms(config.election_timeout) + "] should be at least as 5 times as " +
                  "--heartbeat-interval[" + ms(config.heartbeat_interval) + "]");
  }
  if (config.election_timeout > kMaxElectionTimeout) {
    return refuse_config("--election-timeout[" + ms(config.election_timeout) + "] is too long, and should be set less than " +
                  ms(kMaxElectionTimeout));
  }
  return {};
}

base::Result<> check_log_outputs(const Config& config) {
  if (config.logger != "zap") return refuse_config("unknown logger option " + quoted(config.logger));
  if (config.log_format != "json" && config.log_format != "console") {
    return refuse_config("unknown log format: " + config.log_format + ", supported values json, console");
  }
  const auto& outputs = config.log_outputs;
  if (outputs.size() > 1 && std::find(outputs.begin(), outputs.end(), "default") != outputs.end()) {
    return refuse_config("multi logoutput for \"default\" is not supported yet");
  }
  if (config.enable_log_rotation) {
    const auto standard = [](const std::string& o) { return o == "default" || o == "stderr" || o == "stdout"; };
    if (outputs.size() != 1 || standard(outputs[0])) {
      return refuse_config("--log-outputs requires a single file path when --log-rotate-config-json is defined");
    }
  }
  return {};
}

}  // namespace

base::Result<> validate(const Config& config, const Given& given) {
  ETCDPP_TRY(check_log_outputs(config));
  for (const auto* urls : {&config.listen_peer_urls, &config.listen_client_urls, &config.listen_client_http_urls,
                           &config.listen_metrics_urls}) {
    ETCDPP_TRY(check_bind_urls(*urls));
  }
  if (const auto reason = empty_host(config.initial_advertise_peer_urls); !reason.empty()) {
    return refuse_config("--initial-advertise-peer-urls " + quoted(join_urls(config.initial_advertise_peer_urls)) +
                  " must be \"host:port\" (" + reason + ")");
  }
  if (const auto reason = empty_host(config.advertise_client_urls); !reason.empty()) {
    return refuse_config("--advertise-client-urls " + quoted(join_urls(config.advertise_client_urls)) +
                  " must be in the format \"host:port\", \"unix:/path/to/socket\" or \"unixs:/path/to/socket\" (" + reason + ")");
  }
  const Discovery& discovery = config.discovery;
  if (config.initial_cluster.has_value() + !discovery.endpoints.empty() + !discovery.srv.empty() > 1) {
    return refuse_config("multiple discovery or bootstrap flags are set. "
                  "Choose one of \"initial-cluster\", \"discovery-endpoints\" or \"discovery-srv\"");
  }
  if (config.initial_cluster_state != "new" && config.initial_cluster_state != "existing") {
    return refuse_config("unexpected clusterState " + quoted(config.initial_cluster_state));
  }
  if (discovery.token.empty() != discovery.endpoints.empty()) {
    return refuse_config("both --discovery-token and --discovery-endpoints must be set");
  }
  if (discovery.fallback == "proxy") {
    return refuse_config("v2 proxy is deprecated, and --discovery-fallback can't be configured as \"proxy\"");
  }
  ETCDPP_TRY(check_timing(config));
  if (given.listen_client_urls && !given.advertise_client_urls) {
    return refuse_config("--advertise-client-urls is required when --listen-client-urls is set explicitly");
  }
  if (config.auto_compaction_mode.empty()) return refuse_config("undefined auto-compaction-mode");
  if (config.auto_compaction_mode != "periodic" && config.auto_compaction_mode != "revision") {
    return refuse_config("unknown auto-compaction-mode " + quoted(config.auto_compaction_mode));
  }
  if (config.compact_hash_check_time <= base::Duration::zero()) {
    return refuse_config("--compact-hash-check-time must be >0 (set to " + go_duration(config.compact_hash_check_time) + ")");
  }
  if (config.feature_gates.lease_checkpoint_persist && !config.feature_gates.lease_checkpoint) {
    return refuse_config("enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint");
  }
  return check_tls_versions(config);
}

base::Result<> validate_listeners(const Config& config) {
  for (const std::string& suite : config.cipher_suites) {
    if (std::find(std::begin(kCipherSuites), std::end(kCipherSuites), suite) == std::end(kCipherSuites)) {
      return refuse_config("unexpected TLS cipher suite " + quoted(suite));
    }
  }
  const auto listens = [](const std::vector<Url>& urls, const Url& url) {
    return std::find(urls.begin(), urls.end(), url) != urls.end();
  };
  for (const Url& url : config.listen_client_http_urls) {
    if (listens(config.listen_client_urls, url)) {
      return refuse_config("cannot bind both --listen-client-urls and --listen-client-http-urls on the same url " + url.text());
    }
  }
  for (const auto* urls : {&config.listen_client_urls, &config.listen_client_http_urls}) {
    for (const Url& url : *urls) {
      if (url.tls() && config.client_tls.empty() && !config.client_tls.auto_tls) {
        return refuse_config("TLS key/cert (--cert-file, --key-file) must be provided for client url " + url.text() + " with HTTPS scheme");
      }
    }
  }
  if (const auto retention = config.parsed_auto_compaction_retention(); !retention) return retention.error();
  return {};
}

}  // namespace etcdpp::config
