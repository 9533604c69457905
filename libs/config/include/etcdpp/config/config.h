#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/result.h>
#include <etcdpp/config/duration.h>
#include <etcdpp/config/feature_gates.h>
#include <etcdpp/config/initial_cluster.h>
#include <etcdpp/config/url.h>

namespace etcdpp::config {

using std::chrono::milliseconds;

/// The version of etcd whose behaviour, wire and files this server has.
inline constexpr std::string_view kEtcdVersion = "3.7.1";

/// Certificates of one listener (client or peer).
struct TlsFiles {
  std::string cert_file;
  std::string key_file;
  std::string client_cert_file;
  std::string client_key_file;
  std::string trusted_ca_file;
  std::string crl_file;
  bool client_cert_auth = false;
  bool auto_tls = false;
  bool skip_client_san_verification = false;
  std::vector<std::string> allowed_cn;
  std::vector<std::string> allowed_hostname;

  bool empty() const { return cert_file.empty() && key_file.empty(); }
};

struct Discovery {
  std::string token;
  std::vector<std::string> endpoints;
  base::Duration dial_timeout = std::chrono::seconds(2);
  base::Duration request_timeout = std::chrono::seconds(5);
  base::Duration keepalive_time = std::chrono::seconds(2);
  base::Duration keepalive_timeout = std::chrono::seconds(6);
  bool insecure_transport = true;
  bool insecure_skip_tls_verify = false;
  std::string cert;
  std::string key;
  std::string cacert;
  std::string user;
  std::string password;
  std::string fallback = "exit";
  std::string srv;
  std::string srv_name;
};

/// Everything that etcd 3.7's command line, environment and configuration file can say, with its defaults.
///
/// Made by parse_command_line() (flags.h), which has validated it and refused what this server cannot do yet
/// (supported.h); tests fill one by hand and call validate(). One field per flag, in the order of `etcdppd --help`;
/// a zero that etcd resolves to a default later has an `effective_…` function here. A plain value: copy freely.
struct Config {
  // Member.
  std::string name = "default";
  std::string data_dir;  ///< empty: `<name>.etcd`, see effective_data_dir()
  std::string wal_dir;   ///< empty: `<data dir>/member/wal`
  std::uint64_t snapshot_count = 10000;
  milliseconds heartbeat_interval{100};
  milliseconds election_timeout{1000};
  bool initial_election_tick_advance = true;
  std::vector<Url> listen_peer_urls{{"http", "localhost:2380", ""}};
  std::vector<Url> listen_client_urls{{"http", "localhost:2379", ""}};
  std::vector<Url> listen_client_http_urls;
  std::uint64_t max_snapshots = 5;
  std::uint64_t max_wals = 5;
  bool memory_mlock = false;
  std::int64_t quota_backend_bytes = 0;  ///< 0: 2 GiB; < 0: off
  std::string backend_bbolt_freelist_type;
  base::Duration backend_batch_interval{};
  std::int64_t backend_batch_limit = 0;
  std::uint64_t max_txn_ops = 128;
  std::uint64_t max_request_bytes = 1572864;
  std::uint32_t max_concurrent_streams = 4294967295;
  base::Duration grpc_keepalive_min_time = std::chrono::seconds(5);
  base::Duration grpc_keepalive_interval = std::chrono::hours(2);
  base::Duration grpc_keepalive_timeout = std::chrono::seconds(20);
  bool socket_reuse_port = false;
  bool socket_reuse_address = false;
  bool enable_grpc_gateway = true;
  base::Duration raft_read_timeout = std::chrono::seconds(5);
  base::Duration raft_write_timeout = std::chrono::seconds(5);
  FeatureGates feature_gates;
  std::string feature_gates_text;  ///< as given

  // Clustering.
  std::vector<Url> initial_advertise_peer_urls{{"http", "localhost:2380", ""}};
  std::optional<std::string> initial_cluster;  ///< absent: `<name>=<initial-advertise-peer-urls>`, see members()
  std::string initial_cluster_state = "new";
  std::string initial_cluster_token = "etcd-cluster";
  std::vector<Url> advertise_client_urls{{"http", "localhost:2379", ""}};
  Discovery discovery;
  bool strict_reconfig_check = true;
  bool pre_vote = true;
  std::string auto_compaction_retention = "0";
  std::string auto_compaction_mode = "periodic";
  std::string v2_deprecation = "write-only";

  // Security.
  TlsFiles client_tls;
  TlsFiles peer_tls;
  std::uint64_t self_signed_cert_validity_years = 1;
  std::vector<std::string> cipher_suites;
  std::string tls_min_version = "TLS1.2";
  std::string tls_max_version;
  std::vector<std::string> cors{"*"};
  std::vector<std::string> host_whitelist{"*"};

  // Auth.
  std::string auth_token = "simple";
  std::uint64_t bcrypt_cost = 10;
  std::uint64_t auth_token_ttl_seconds = 300;

  // Profiling and monitoring.
  bool enable_pprof = false;
  std::string metrics = "basic";
  std::vector<Url> listen_metrics_urls;

  // Logging.
  std::string logger = "zap";
  std::vector<std::string> log_outputs{"default"};
  std::string log_level = "info";
  std::string log_format = "json";
  bool enable_log_rotation = false;
  std::string log_rotation_config_json =
      R"({"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false})";
  base::Duration warning_unary_request_duration = milliseconds(300);

  // Distributed tracing.
  bool enable_distributed_tracing = false;
  std::string distributed_tracing_address = "localhost:4317";
  std::string distributed_tracing_service_name = "etcd";
  std::string distributed_tracing_instance_id;
  std::int64_t distributed_tracing_sampling_rate = 0;  ///< per million

  // Features.
  base::Duration corrupt_check_time{};
  base::Duration compact_hash_check_time = std::chrono::minutes(1);
  std::int64_t compaction_batch_limit = 0;
  base::Duration compaction_sleep_interval{};
  base::Duration watch_progress_notify_interval{};
  base::Duration warning_apply_duration = milliseconds(100);
  std::uint64_t bootstrap_defrag_threshold_megabytes = 0;
  std::int64_t max_learners = 1;
  base::Duration downgrade_check_time = std::chrono::seconds(5);
  std::uint64_t snapshot_catchup_entries = 5000;

  // Unsafe.
  bool force_new_cluster = false;
  bool unsafe_no_fsync = false;
  /// Not etcd's: start with a log that has lost synced data, without what is missing.
  bool force_truncate_wal = false;

  std::string config_file;

  std::string effective_data_dir() const { return data_dir.empty() ? name + ".etcd" : data_dir; }
  std::string member_dir() const { return effective_data_dir() + "/member"; }
  std::string effective_wal_dir() const { return wal_dir.empty() ? member_dir() + "/wal" : wal_dir; }
  std::string snap_dir() const { return member_dir() + "/snap"; }
  /// initial-cluster as given, or its default.
  std::string effective_initial_cluster() const;
  /// initial-cluster parsed; validate() has looked at it.
  base::Result<InitialCluster> members() const;
  int election_ticks() const { return static_cast<int>(election_timeout / heartbeat_interval); }
  /// How long a proposal, a linearizable read or a forwarded lease call may take: 5 s and two elections.
  base::Duration request_timeout() const { return std::chrono::seconds(5) + 2 * election_timeout; }
  /// Bytes; 0 = off.
  std::uint64_t effective_quota_bytes() const;
  base::Duration effective_backend_batch_interval() const;
  std::uint64_t effective_backend_batch_limit() const;
  std::uint64_t effective_compaction_batch_limit() const;
  base::Duration effective_compaction_sleep_interval() const;
  base::Duration effective_watch_progress_notify_interval() const;
  /// auto-compaction-retention as a time, or with mode revision a number of revisions, counted in nanoseconds; 0 = off.
  /// Hours where it is a bare number, as in etcd. validate_listeners() has looked at it.
  base::Result<base::Duration> parsed_auto_compaction_retention() const;
};

/// What the operator set explicitly, as far as validation asks.
struct Given {
  bool listen_client_urls = false;
  bool advertise_client_urls = false;
};

/// What etcd checks before it starts anything; the error's context is etcd's sentence.
base::Result<> validate(const Config& config, const Given& given = {});
/// What etcd finds wrong only when it opens its listeners: https without certificates, two listeners on one URL, an
/// unreadable retention. Needs no socket.
base::Result<> validate_listeners(const Config& config);

}  // namespace etcdpp::config
