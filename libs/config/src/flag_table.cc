#include "flag_table.h"

#include <algorithm>
#include <array>

#include <etcdpp/config/duration.h>
#include <etcdpp/config/errc.h>

#include "go_syntax.h"

namespace etcdpp::config {

namespace {

constexpr Flag kFlags[] = {
    {Group::kMember, "name", [](Config& c) -> Field { return &c.name; }, "",
     "Name of this member, for people to read."},
    {Group::kMember, "data-dir", [](Config& c) -> Field { return &c.data_dir; }, "${name}.etcd",
     "Directory of the member's data."},
    {Group::kMember, "wal-dir", [](Config& c) -> Field { return &c.wal_dir; }, "",
     "Directory of the write-ahead log, if it is to be kept apart from the data."},
    {Group::kMember, "snapshot-count", [](Config& c) -> Field { return &c.snapshot_count; }, "",
     "Applied entries after which a snapshot is taken."},
    {Group::kMember, "heartbeat-interval", [](Config& c) -> Field { return &c.heartbeat_interval; }, "",
     "Milliseconds between heartbeats of the leader."},
    {Group::kMember, "election-timeout", [](Config& c) -> Field { return &c.election_timeout; }, "",
     "Milliseconds without a leader after which an election starts; at least five heartbeats."},
    {Group::kMember, "initial-election-tick-advance", [](Config& c) -> Field { return &c.initial_election_tick_advance; }, "",
     "Start close to the first election instead of waiting a whole timeout for it."},
    {Group::kMember, "listen-peer-urls", [](Config& c) -> Field { return &c.listen_peer_urls; }, "",
     "URLs to listen on for other members."},
    {Group::kMember, "listen-client-urls", [](Config& c) -> Field { return &c.listen_client_urls; }, "",
     "URLs to listen on for clients: gRPC, and HTTP unless --listen-client-http-urls is given."},
    {Group::kMember, "listen-client-http-urls", [](Config& c) -> Field { return &c.listen_client_http_urls; }, "",
     "URLs to listen on for HTTP clients only; gRPC then has --listen-client-urls to itself."},
    {Group::kMember, "max-snapshots", [](Config& c) -> Field { return &c.max_snapshots; }, "",
     "Snapshot files to keep, 0 for all. Deprecated in 3.6, gone in 3.8."},
    {Group::kMember, "max-wals", [](Config& c) -> Field { return &c.max_wals; }, "",
     "Write-ahead log files to keep, 0 for all."},
    {Group::kMember, "memory-mlock", [](Config& c) -> Field { return &c.memory_mlock; }, "",
     "Keep the database in memory (mlock)."},
    {Group::kMember, "quota-backend-bytes", [](Config& c) -> Field { return &c.quota_backend_bytes; }, "",
     "Size of the database at which the NOSPACE alarm is raised; 0 for 2 GiB, negative for never."},
    {Group::kMember, "backend-bbolt-freelist-type", [](Config& c) -> Field { return &c.backend_bbolt_freelist_type; }, "map",
     "Accepted for scripts of etcd; this server keeps no bbolt file."},
    {Group::kMember, "backend-batch-interval", [](Config& c) -> Field { return &c.backend_batch_interval; }, "",
     "Longest time between two commits of the database; 0 for 100ms."},
    {Group::kMember, "backend-batch-limit", [](Config& c) -> Field { return &c.backend_batch_limit; }, "",
     "Operations after which the database commits; 0 for 10000."},
    {Group::kMember, "max-txn-ops", [](Config& c) -> Field { return &c.max_txn_ops; }, "",
     "Operations that one transaction may hold."},
    {Group::kMember, "max-request-bytes", [](Config& c) -> Field { return &c.max_request_bytes; }, "",
     "Bytes that one client request may have."},
    {Group::kMember, "max-concurrent-streams", [](Config& c) -> Field { return &c.max_concurrent_streams; }, "math.MaxUint32",
     "Streams that one client may have open at a time."},
    {Group::kMember, "grpc-keepalive-min-time", [](Config& c) -> Field { return &c.grpc_keepalive_min_time; }, "",
     "Pings of a client that come faster than this end its connection."},
    {Group::kMember, "grpc-keepalive-interval", [](Config& c) -> Field { return &c.grpc_keepalive_interval; }, "",
     "How often the server asks a silent client whether it is there; 0 for never."},
    {Group::kMember, "grpc-keepalive-timeout", [](Config& c) -> Field { return &c.grpc_keepalive_timeout; }, "",
     "How long it waits for that answer; 0 for ever."},
    {Group::kMember, "socket-reuse-port", [](Config& c) -> Field { return &c.socket_reuse_port; }, "",
     "Set SO_REUSEPORT on listeners."},
    {Group::kMember, "socket-reuse-address", [](Config& c) -> Field { return &c.socket_reuse_address; }, "",
     "Set SO_REUSEADDR on listeners."},
    {Group::kMember, "enable-grpc-gateway", [](Config& c) -> Field { return &c.enable_grpc_gateway; }, "",
     "Answer JSON over HTTP beside gRPC."},
    {Group::kMember, "raft-read-timeout", [](Config& c) -> Field { return &c.raft_read_timeout; }, "",
     "Read timeout of connections between members."},
    {Group::kMember, "raft-write-timeout", [](Config& c) -> Field { return &c.raft_write_timeout; }, "",
     "Write timeout of connections between members."},
    {Group::kMember, "feature-gates", [](Config& c) -> Field { return &c.feature_gates_text; }, "",
     "Switches of single features, \"Name=true,Other=false\"; see the list below."},
    {Group::kClustering, "initial-advertise-peer-urls", [](Config& c) -> Field { return &c.initial_advertise_peer_urls; }, "",
     "This member's peer URLs as the others shall know them."},
    {Group::kClustering, "initial-cluster", [](Config& c) -> Field { return &c.initial_cluster; }, "default=http://localhost:2380",
     "All members of a new cluster, \"name=URL,name=URL\"."},
    {Group::kClustering, "initial-cluster-state", [](Config& c) -> Field { return &c.initial_cluster_state; }, "",
     "'new' to start a cluster, 'existing' to join one. Without meaning once there is data.", "new existing"},
    {Group::kClustering, "initial-cluster-token", [](Config& c) -> Field { return &c.initial_cluster_token; }, "",
     "Keeps clusters of the same URLs apart: part of every id."},
    {Group::kClustering, "advertise-client-urls", [](Config& c) -> Field { return &c.advertise_client_urls; }, "",
     "This member's client URLs as clients shall know them; needed with --listen-client-urls."},
    {Group::kClustering, "discovery-token", [](Config& c) -> Field { return &c.discovery.token; }, "",
     "v3 discovery: token of the cluster to be started."},
    {Group::kClustering, "discovery-endpoints", [](Config& c) -> Field { return &c.discovery.endpoints; }, "",
     "v3 discovery: endpoints of the service."},
    {Group::kClustering, "discovery-dial-timeout", [](Config& c) -> Field { return &c.discovery.dial_timeout; }, "",
     "v3 discovery: dial timeout."},
    {Group::kClustering, "discovery-request-timeout", [](Config& c) -> Field { return &c.discovery.request_timeout; }, "",
     "v3 discovery: request timeout without dialling."},
    {Group::kClustering, "discovery-keepalive-time", [](Config& c) -> Field { return &c.discovery.keepalive_time; }, "",
     "v3 discovery: keep-alive time."},
    {Group::kClustering, "discovery-keepalive-timeout", [](Config& c) -> Field { return &c.discovery.keepalive_timeout; }, "",
     "v3 discovery: keep-alive timeout."},
    {Group::kClustering, "discovery-insecure-transport", [](Config& c) -> Field { return &c.discovery.insecure_transport; }, "",
     "v3 discovery: no TLS."},
    {Group::kClustering, "discovery-insecure-skip-tls-verify", [](Config& c) -> Field { return &c.discovery.insecure_skip_tls_verify; }, "",
     "v3 discovery: do not verify the service's certificate; for tests."},
    {Group::kClustering, "discovery-cert", [](Config& c) -> Field { return &c.discovery.cert; }, "",
     "v3 discovery: client certificate."},
    {Group::kClustering, "discovery-key", [](Config& c) -> Field { return &c.discovery.key; }, "",
     "v3 discovery: client key."},
    {Group::kClustering, "discovery-cacert", [](Config& c) -> Field { return &c.discovery.cacert; }, "",
     "v3 discovery: certificate authorities to trust."},
    {Group::kClustering, "discovery-user", [](Config& c) -> Field { return &c.discovery.user; }, "",
     "v3 discovery: user, or user:password."},
    {Group::kClustering, "discovery-password", [](Config& c) -> Field { return &c.discovery.password; }, "",
     "v3 discovery: password."},
    {Group::kClustering, "discovery-fallback", [](Config& c) -> Field { return &c.discovery.fallback; }, "",
     "What to do when discovery fails: 'exit'.", "exit proxy"},
    {Group::kClustering, "discovery-srv", [](Config& c) -> Field { return &c.discovery.srv; }, "",
     "Domain of the DNS SRV records to bootstrap from."},
    {Group::kClustering, "discovery-srv-name", [](Config& c) -> Field { return &c.discovery.srv_name; }, "",
     "Suffix of the names of those records."},
    {Group::kClustering, "strict-reconfig-check", [](Config& c) -> Field { return &c.strict_reconfig_check; }, "",
     "Refuse membership changes that would cost the quorum."},
    {Group::kClustering, "pre-vote", [](Config& c) -> Field { return &c.pre_vote; }, "",
     "Ask before an election whether it could be won, so that a member that returns disturbs nobody."},
    {Group::kClustering, "auto-compaction-retention", [](Config& c) -> Field { return &c.auto_compaction_retention; }, "",
     "History that automatic compaction keeps; 0 turns it off."},
    {Group::kClustering, "auto-compaction-mode", [](Config& c) -> Field { return &c.auto_compaction_mode; }, "",
     "'periodic': the retention is a time, hours if it has no unit; 'revision': a number of revisions."},
    {Group::kClustering, "v2-deprecation", [](Config& c) -> Field { return &c.v2_deprecation; }, "",
     "Accepted and without effect; deprecated.", "not-yet write-only write-only-skip-check write-only-drop-data gone"},
    {Group::kSecurity, "cert-file", [](Config& c) -> Field { return &c.client_tls.cert_file; }, "",
     "Certificate of the client listeners."},
    {Group::kSecurity, "key-file", [](Config& c) -> Field { return &c.client_tls.key_file; }, "",
     "Its key."},
    {Group::kSecurity, "client-cert-auth", [](Config& c) -> Field { return &c.client_tls.client_cert_auth; }, "",
     "Demand certificates of clients."},
    {Group::kSecurity, "client-cert-file", [](Config& c) -> Field { return &c.client_tls.client_cert_file; }, "",
     "Certificate with which the server calls itself, if not the listener's."},
    {Group::kSecurity, "client-key-file", [](Config& c) -> Field { return &c.client_tls.client_key_file; }, "",
     "Its key."},
    {Group::kSecurity, "client-crl-file", [](Config& c) -> Field { return &c.client_tls.crl_file; }, "",
     "Revoked client certificates."},
    {Group::kSecurity, "client-cert-allowed-hostname", [](Config& c) -> Field { return &c.client_tls.allowed_hostname; }, "",
     "Names of which one must be in a client's certificate, separated by commas."},
    {Group::kSecurity, "trusted-ca-file", [](Config& c) -> Field { return &c.client_tls.trusted_ca_file; }, "",
     "Authorities that sign client certificates."},
    {Group::kSecurity, "auto-tls", [](Config& c) -> Field { return &c.client_tls.auto_tls; }, "",
     "Sign own certificates for the client listeners."},
    {Group::kSecurity, "peer-cert-file", [](Config& c) -> Field { return &c.peer_tls.cert_file; }, "",
     "Certificate of the peer listeners."},
    {Group::kSecurity, "peer-key-file", [](Config& c) -> Field { return &c.peer_tls.key_file; }, "",
     "Its key."},
    {Group::kSecurity, "peer-client-cert-auth", [](Config& c) -> Field { return &c.peer_tls.client_cert_auth; }, "",
     "Demand certificates of peers."},
    {Group::kSecurity, "peer-client-cert-file", [](Config& c) -> Field { return &c.peer_tls.client_cert_file; }, "",
     "Certificate towards peers, if not the listener's."},
    {Group::kSecurity, "peer-client-key-file", [](Config& c) -> Field { return &c.peer_tls.client_key_file; }, "",
     "Its key."},
    {Group::kSecurity, "peer-trusted-ca-file", [](Config& c) -> Field { return &c.peer_tls.trusted_ca_file; }, "",
     "Authorities that sign peer certificates."},
    {Group::kSecurity, "peer-cert-allowed-cn", [](Config& c) -> Field { return &c.peer_tls.allowed_cn; }, "",
     "Common names of which a peer's certificate must have one, separated by commas."},
    {Group::kSecurity, "peer-cert-allowed-hostname", [](Config& c) -> Field { return &c.peer_tls.allowed_hostname; }, "",
     "Names of which one must be in a peer's certificate, separated by commas."},
    {Group::kSecurity, "peer-auto-tls", [](Config& c) -> Field { return &c.peer_tls.auto_tls; }, "",
     "Sign own certificates for the peer listeners."},
    {Group::kSecurity, "self-signed-cert-validity", [](Config& c) -> Field { return &c.self_signed_cert_validity_years; }, "",
     "Years for which those are valid."},
    {Group::kSecurity, "peer-crl-file", [](Config& c) -> Field { return &c.peer_tls.crl_file; }, "",
     "Revoked peer certificates."},
    {Group::kSecurity, "cipher-suites", [](Config& c) -> Field { return &c.cipher_suites; }, "",
     "TLS cipher suites to allow, Go's names separated by commas."},
    {Group::kSecurity, "cors", [](Config& c) -> Field { return StringSet{&c.cors}; }, "",
     "Origins that browsers may call from, separated by commas; * for all."},
    {Group::kSecurity, "host-whitelist", [](Config& c) -> Field { return StringSet{&c.host_whitelist}; }, "",
     "Host names that plain HTTP requests may ask for, separated by commas; * for all."},
    {Group::kSecurity, "tls-min-version", [](Config& c) -> Field { return &c.tls_min_version; }, "",
     "Lowest TLS version: TLS1.2 or TLS1.3."},
    {Group::kSecurity, "tls-max-version", [](Config& c) -> Field { return &c.tls_max_version; }, "",
     "Highest TLS version: TLS1.2 or TLS1.3."},
    {Group::kAuth, "auth-token", [](Config& c) -> Field { return &c.auth_token; }, "",
     "Kind of token and its options: 'simple' or 'jwt,...'."},
    {Group::kAuth, "bcrypt-cost", [](Config& c) -> Field { return &c.bcrypt_cost; }, "",
     "Work that a password costs, 4 to 31."},
    {Group::kAuth, "auth-token-ttl", [](Config& c) -> Field { return &c.auth_token_ttl_seconds; }, "",
     "Seconds that a simple token lives."},
    {Group::kMonitoring, "enable-pprof", [](Config& c) -> Field { return &c.enable_pprof; }, "",
     "Profiles under /debug/pprof/."},
    {Group::kMonitoring, "metrics", [](Config& c) -> Field { return &c.metrics; }, "",
     "'basic', or 'extensive' for histograms of gRPC times too."},
    {Group::kMonitoring, "listen-metrics-urls", [](Config& c) -> Field { return &c.listen_metrics_urls; }, "",
     "Further URLs to listen on for /metrics and /health."},
    {Group::kLogging, "logger", [](Config& c) -> Field { return &c.logger; }, "",
     "Only 'zap', the shape of the log lines."},
    {Group::kLogging, "log-outputs", [](Config& c) -> Field { return &c.log_outputs; }, "",
     "'default', 'stderr', 'stdout' or files, separated by commas."},
    {Group::kLogging, "log-level", [](Config& c) -> Field { return &c.log_level; }, "",
     "debug, info, warn, error, panic or fatal."},
    {Group::kLogging, "log-format", [](Config& c) -> Field { return &c.log_format; }, "",
     "json or console."},
    {Group::kLogging, "enable-log-rotation", [](Config& c) -> Field { return &c.enable_log_rotation; }, "",
     "Rotate the one file that the log goes to."},
    {Group::kLogging, "log-rotation-config-json", [](Config& c) -> Field { return &c.log_rotation_config_json; }, "",
     "How: maxsize in MB, maxage in days, maxbackups, localtime, compress."},
    {Group::kLogging, "warning-unary-request-duration", [](Config& c) -> Field { return &c.warning_unary_request_duration; }, "",
     "Requests that take longer are logged."},
    {Group::kTracing, "enable-distributed-tracing", [](Config& c) -> Field { return &c.enable_distributed_tracing; }, "",
     "Send traces."},
    {Group::kTracing, "distributed-tracing-address", [](Config& c) -> Field { return &c.distributed_tracing_address; }, "",
     "Where to."},
    {Group::kTracing, "distributed-tracing-service-name", [](Config& c) -> Field { return &c.distributed_tracing_service_name; }, "",
     "Name of the service in them, the same for all members."},
    {Group::kTracing, "distributed-tracing-instance-id", [](Config& c) -> Field { return &c.distributed_tracing_instance_id; }, "",
     "Id of this member in them."},
    {Group::kTracing, "distributed-tracing-sampling-rate", [](Config& c) -> Field { return &c.distributed_tracing_sampling_rate; }, "",
     "Samples per million spans."},
    {Group::kFeatures, "corrupt-check-time", [](Config& c) -> Field { return &c.corrupt_check_time; }, "",
     "Time between comparisons of the members' hashes; 0 for never."},
    {Group::kFeatures, "compact-hash-check-time", [](Config& c) -> Field { return &c.compact_hash_check_time; }, "",
     "Time between the leader's comparisons of compaction hashes."},
    {Group::kFeatures, "compaction-batch-limit", [](Config& c) -> Field { return &c.compaction_batch_limit; }, "1000",
     "Revisions that one step of a compaction deletes."},
    {Group::kFeatures, "peer-skip-client-san-verification", [](Config& c) -> Field { return &c.peer_tls.skip_client_san_verification; }, "",
     "Do not compare the names in a peer's certificate with its address."},
    {Group::kFeatures, "watch-progress-notify-interval", [](Config& c) -> Field { return &c.watch_progress_notify_interval; }, "10m",
     "Time between progress notifications of a quiet watch."},
    {Group::kFeatures, "warning-apply-duration", [](Config& c) -> Field { return &c.warning_apply_duration; }, "",
     "Entries that take longer to apply are logged."},
    {Group::kFeatures, "bootstrap-defrag-threshold-megabytes", [](Config& c) -> Field { return &c.bootstrap_defrag_threshold_megabytes; }, "",
     "Defragment at start if that frees at least this much; 0 for never."},
    {Group::kFeatures, "max-learners", [](Config& c) -> Field { return &c.max_learners; }, "",
     "Learners that the cluster may have."},
    {Group::kFeatures, "compaction-sleep-interval", [](Config& c) -> Field { return &c.compaction_sleep_interval; }, "10ms",
     "Pause between two steps of a compaction."},
    {Group::kFeatures, "downgrade-check-time", [](Config& c) -> Field { return &c.downgrade_check_time; }, "",
     "Time between looks at a running downgrade."},
    {Group::kFeatures, "snapshot-catchup-entries", [](Config& c) -> Field { return &c.snapshot_catchup_entries; }, "",
     "Entries kept behind a snapshot for followers that lag."},
    {Group::kUnsafe, "force-new-cluster", [](Config& c) -> Field { return &c.force_new_cluster; }, "",
     "Make a cluster of one member out of this member's data."},
    {Group::kUnsafe, "unsafe-no-fsync", [](Config& c) -> Field { return &c.unsafe_no_fsync; }, "",
     "Do not wait for the disk: what was acknowledged may be lost."},
    {Group::kUnsafe, "force-truncate-wal", [](Config& c) -> Field { return &c.force_truncate_wal; }, "",
     "Start although the write-ahead log has lost synced data, without what is missing. (Not a flag of etcd.)"},
};

constexpr std::string_view kIgnoredFlags[] = {
    "cluster-active-size", "cluster-remove-delay", "cluster-sync-interval", "config", "force", "max-result-buffer",
    "max-retry-attempts", "peer-heartbeat-interval", "peer-election-timeout", "retry-interval", "snapshot", "v", "vv",
    "test.coverprofile", "test.outputdir"};

template <typename... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};

std::vector<std::string> split_commas(std::string_view text) {
  std::vector<std::string> items;
  if (text.empty()) return items;
  while (true) {
    const std::size_t comma = text.find(',');
    items.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return items;
    text.remove_prefix(comma + 1);
  }
}

std::string join_commas(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ",") + item;
  return text;
}

bool has_word(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const std::size_t space = std::min(words.find(' '), words.size());
    if (words.substr(0, space) == word) return true;
    words.remove_prefix(std::min(space + 1, words.size()));
  }
  return false;
}

std::optional<std::string> number_reason(NumberError error) {
  switch (error) {
    case NumberError::kNone: return std::nullopt;
    case NumberError::kRange: return "value out of range";
    case NumberError::kSyntax: break;
  }
  return "parse error";
}

}  // namespace

std::span<const Flag> flag_table() { return kFlags; }

const Flag* find_flag(std::string_view name) {
  const auto flag = std::find_if(std::begin(kFlags), std::end(kFlags), [&](const Flag& f) { return f.name == name; });
  return flag == std::end(kFlags) ? nullptr : flag;
}

std::string_view group_title(Group group) {
  switch (group) {
    case Group::kMember: return "Member";
    case Group::kClustering: return "Clustering";
    case Group::kSecurity: return "Security";
    case Group::kAuth: return "Auth";
    case Group::kMonitoring: return "Profiling and Monitoring";
    case Group::kLogging: return "Logging";
    case Group::kTracing: return "Distributed tracing";
    case Group::kFeatures: return "Features";
    case Group::kUnsafe: return "Unsafe feature";
  }
  return {};
}

bool is_ignored_flag(std::string_view name) {
  return std::find(std::begin(kIgnoredFlags), std::end(kIgnoredFlags), name) != std::end(kIgnoredFlags);
}

bool is_boolean(const Flag& flag) {
  Config scratch;
  return std::holds_alternative<bool*>(flag.field(scratch));
}

std::optional<std::string> set_flag(const Flag& flag, Config& config, std::string_view text) {
  if (!flag.choices.empty() && !has_word(flag.choices, text)) return "invalid value";
  if (flag.name == "feature-gates") {
    auto gates = parse_feature_gates(text);
    if (!gates) return gates.error().context;
    config.feature_gates = *gates;
  }
  return std::visit(
      Overloaded{
          [&](std::string* s) -> std::optional<std::string> {
            *s = text;
            return std::nullopt;
          },
          [&](std::optional<std::string>* s) -> std::optional<std::string> {
            *s = std::string(text);
            return std::nullopt;
          },
          [&](bool* b) -> std::optional<std::string> {
            const auto value = parse_go_bool(text);
            if (!value) return "parse error";
            *b = *value;
            return std::nullopt;
          },
          [&](std::int64_t* n) { return number_reason(parse_go_signed(text, *n)); },
          [&](std::uint64_t* n) { return number_reason(parse_go_unsigned(text, *n)); },
          [&](std::uint32_t* n) -> std::optional<std::string> {
            std::uint64_t wide = 0;
            NumberError error = parse_go_unsigned(text, wide);
            if (error == NumberError::kNone && wide > UINT32_MAX) error = NumberError::kRange;
            if (error != NumberError::kNone) {
              return "strconv.ParseUint: parsing " + quoted(text) +
                     (error == NumberError::kRange ? ": value out of range" : ": invalid syntax");
            }
            *n = static_cast<std::uint32_t>(wide);
            return std::nullopt;
          },
          [&](base::Duration* d) -> std::optional<std::string> {
            const auto value = parse_go_duration(text);
            if (!value) return "parse error";
            *d = *value;
            return std::nullopt;
          },
          [&](milliseconds* d) -> std::optional<std::string> {
            std::uint64_t count = 0;
            if (auto reason = number_reason(parse_go_unsigned(text, count))) return reason;
            // Past a day it is refused as too long anyway; the bound keeps the arithmetic of validation whole.
            *d = milliseconds(std::min<std::uint64_t>(count, 1'000'000'000));
            return std::nullopt;
          },
          [&](std::vector<Url>* urls) -> std::optional<std::string> {
            auto value = parse_url_list(text);
            if (!value) return value.error().context;
            *urls = std::move(*value);
            urls->erase(std::unique(urls->begin(), urls->end()), urls->end());
            return std::nullopt;
          },
          [&](std::vector<std::string>* items) -> std::optional<std::string> {
            *items = split_commas(text);
            return std::nullopt;
          },
          [&](StringSet set) -> std::optional<std::string> {
            *set.values = split_commas(text);
            std::sort(set.values->begin(), set.values->end());
            set.values->erase(std::unique(set.values->begin(), set.values->end()), set.values->end());
            return std::nullopt;
          },
      },
      flag.field(config));
}

std::string flag_text(const Flag& flag, const Config& config) {
  // Field accessors hand out pointers for both reading and writing; nothing is written here.
  return std::visit(Overloaded{
                        [](const std::string* s) { return *s; },
                        [](const std::optional<std::string>* s) { return s->value_or(""); },
                        [](const bool* b) { return std::string(*b ? "true" : "false"); },
                        [](const base::Duration* d) { return go_duration(*d); },
                        [](const milliseconds* d) { return std::to_string(d->count()); },
                        [](const std::vector<Url>* urls) { return join_urls(*urls); },
                        [](const std::vector<std::string>* items) { return join_commas(*items); },
                        [](StringSet set) { return join_commas(*set.values); },
                        [](const auto* number) { return std::to_string(*number); },
                    },
                    flag.field(const_cast<Config&>(config)));
}

}  // namespace etcdpp::config
