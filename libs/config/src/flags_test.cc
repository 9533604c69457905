#include <etcdpp/config/flags.h>

#include <algorithm>
#include <initializer_list>
#include <map>

#include <unistd.h>

#include <doctest/doctest.h>

#include <etcdpp/config/errc.h>
#include <etcdpp/config/supported.h>

#include "flag_table.h"

namespace etcdpp::config {
namespace {

CommandLine parse(std::vector<std::string> arguments, std::vector<std::string> environment = {}) {
  return parse_command_line("etcdppd", arguments, environment, base::posix_env());
}

/// The error field of the line that says why the configuration is refused.
std::string refusal(const CommandLine& line) {
  CHECK_FALSE(line.run);
  for (const StartupLine& l : line.lines) {
    for (const base::LogField& field : l.fields) {
      if (field.name == "error") return std::get<std::string>(field.value);
    }
  }
  return line.err.substr(0, line.err.find('\n'));
}

bool has_line(const CommandLine& line, base::LogLevel level, std::string_view message) {
  return std::any_of(line.lines.begin(), line.lines.end(),
                     [&](const StartupLine& l) { return l.level == level && l.message == message; });
}

std::string temporary_file(const std::string& name, const std::string& text) {
  const std::string path = "/tmp/etcdpp-flags-test-" + std::to_string(::getpid()) + "-" + name;
  auto file = base::posix_env().open(path, base::OpenMode::kCreateTruncate);
  REQUIRE(file);
  REQUIRE((*file)->write_at(0, text));
  return path;
}

CommandLine parse_file(const std::string& text) {
  const std::string path = temporary_file("c.yml", text);
  CommandLine line = parse({"--config-file", path, "--name", "ignored"}, {"ETCD_NAME=ignored"});
  REQUIRE(base::posix_env().remove(path));
  return line;
}

TEST_CASE("flags: no flag gives the defaults of etcd and a warning about the name") {
  const CommandLine line = parse({});
  REQUIRE(line.run);
  CHECK(line.config.name == "default");
  CHECK(line.config.effective_data_dir() == "default.etcd");
  CHECK(line.config.effective_wal_dir() == "default.etcd/member/wal");
  CHECK(line.config.snapshot_count == 10000);
  CHECK(line.config.election_ticks() == 10);
  CHECK(line.config.request_timeout() == std::chrono::seconds(7));
  CHECK(line.config.effective_initial_cluster() == "default=http://localhost:2380");
  CHECK(line.config.effective_quota_bytes() == 2147483648);
  CHECK(line.config.effective_backend_batch_interval() == milliseconds(100));
  CHECK(line.config.effective_backend_batch_limit() == 10000);
  CHECK(line.config.effective_compaction_batch_limit() == 1000);
  CHECK(line.config.effective_compaction_sleep_interval() == milliseconds(10));
  CHECK(line.config.effective_watch_progress_notify_interval() == std::chrono::minutes(10));
  CHECK(line.lines.size() == 4);
  CHECK(has_line(line, base::LogLevel::kInfo, "Running: "));
}

TEST_CASE("flags: both dashes, both ways of giving a value, booleans, and the last one wins") {
  const CommandLine line = parse({"-name", "a", "--data-dir=d", "--pre-vote=false", "-strict-reconfig-check", "--name", "b",
                                  "--heartbeat-interval=0x32", "--quota-backend-bytes", "-1", "--max-request-bytes=1_000",
                                  "--watch-progress-notify-interval=1m30s", "--listen-client-urls",
                                  "http://127.0.0.1:2, http://127.0.0.1:1,http://127.0.0.1:2", "--advertise-client-urls",
                                  "http://a:1", "--cors", "b,a,b", "--"});
  CHECK(refusal(line) == "--cors=a,b is not supported yet");
  CHECK(line.config.name == "b");
  CHECK(line.config.data_dir == "d");
  CHECK_FALSE(line.config.pre_vote);
  CHECK(line.config.strict_reconfig_check);
  CHECK(line.config.heartbeat_interval == milliseconds(50));
  CHECK(line.config.effective_quota_bytes() == 0);
  CHECK(line.config.max_request_bytes == 1000);
  CHECK(line.config.watch_progress_notify_interval == std::chrono::seconds(90));
  CHECK(join_urls(line.config.listen_client_urls) == "http://127.0.0.1:1,http://127.0.0.1:2");
}

TEST_CASE("flags: wrong use ends with 2, the reason in front and the usage behind it") {
  const std::map<std::string, std::vector<std::string>> cases{
      {"flag provided but not defined: -nope", {"--nope"}},
      {"flag provided but not defined: -discovery", {"--discovery=x"}},
      {"flag needs an argument: -name", {"--name"}},
      {"bad flag syntax: ---x", {"---x"}},
      {"invalid boolean value \"maybe\" for -pre-vote: parse error", {"--pre-vote=maybe"}},
      {"invalid value \"abc\" for flag -heartbeat-interval: parse error", {"--heartbeat-interval", "abc"}},
      {"invalid value \"-1\" for flag -snapshot-count: parse error", {"--snapshot-count", "-1"}},
      {"invalid value \"99999999999999999999999\" for flag -snapshot-count: value out of range",
       {"--snapshot-count", "99999999999999999999999"}},
      {"invalid value \"5000000000\" for flag -max-concurrent-streams: strconv.ParseUint: parsing \"5000000000\": value out of range",
       {"--max-concurrent-streams", "5000000000"}},
      {"invalid value \"5\" for flag -grpc-keepalive-min-time: parse error", {"--grpc-keepalive-min-time", "5"}},
      {"invalid value \"bla\" for flag -initial-cluster-state: invalid value", {"--initial-cluster-state", "bla"}},
      {"invalid value \"x\" for flag -v2-deprecation: invalid value \"x\"", {"--v2-deprecation", "x"}},
      {"invalid value \"X=true\" for flag -feature-gates: unrecognized feature gate: X", {"--feature-gates", "X=true"}},
      {"invalid value \"LeaseCheckpoint\" for flag -feature-gates: missing bool value for LeaseCheckpoint",
       {"--feature-gates", "LeaseCheckpoint"}},
      {"invalid value \"AllAlpha=maybe\" for flag -feature-gates: invalid value of AllAlpha=maybe, err: "
       "strconv.ParseBool: parsing \"maybe\": invalid syntax",
       {"--feature-gates", "AllAlpha=maybe"}},
      {"invalid value \"127.0.0.1:2379\" for flag -listen-client-urls: parse \"127.0.0.1:2379\": first path segment in URL "
       "cannot contain colon",
       {"--listen-client-urls", "127.0.0.1:2379"}},
      {"invalid value \"ftp://127.0.0.1:2379\" for flag -listen-client-urls: URL scheme must be http, https, unix, or unixs: "
       "ftp://127.0.0.1:2379",
       {"--listen-client-urls", "ftp://127.0.0.1:2379"}},
      {"invalid value \"http://127.0.0.1\" for flag -listen-client-urls: URL address does not have the form \"host:port\": "
       "http://127.0.0.1",
       {"--listen-client-urls", "http://127.0.0.1"}},
      {"invalid value \"http://127.0.0.1:2379/x\" for flag -listen-client-urls: URL must not contain a path: "
       "http://127.0.0.1:2379/x",
       {"--listen-client-urls", "http://127.0.0.1:2379/x"}},
      {"invalid value \"http://127.0.0.1:abc\" for flag -listen-peer-urls: parse \"http://127.0.0.1:abc\": invalid port "
       "\":abc\" after host",
       {"--listen-peer-urls", "http://127.0.0.1:abc"}}};
  for (const auto& [reason, arguments] : cases) {
    const CommandLine line = parse(arguments);
    CHECK_FALSE(line.run);
    CHECK(line.exit_code == 2);
    CHECK(line.lines.empty());
    CHECK(line.err.substr(0, line.err.find('\n')) == reason);
    CHECK(line.err.find("\nUsage:\n") != std::string::npos);
  }
}

TEST_CASE("flags: validation speaks etcd's sentences and ends with 1") {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases{
      {"\"foo\" is not a valid flag", {"foo"}},
      {"\"false\" is not a valid flag", {"--pre-vote", "false"}},
      {"\"foo\" is not a valid flag", {"--version", "foo"}},
      {"--heartbeat-interval must be >0 (set to 0ms)", {"--heartbeat-interval", "0"}},
      {"--election-timeout must be >0 (set to 0ms)", {"--election-timeout", "0"}},
      {"--election-timeout[400ms] should be at least as 5 times as --heartbeat-interval[100ms]", {"--election-timeout", "400"}},
      {"--election-timeout[60000ms] is too long, and should be set less than 50000ms", {"--election-timeout", "60000"}},
      {"--advertise-client-urls is required when --listen-client-urls is set explicitly",
       {"--listen-client-urls", "http://127.0.0.1:1"}},
      {"expected IP in URL for binding (http://foo.com:2379)", {"--listen-client-urls", "http://foo.com:2379"}},
      {"expected IP in URL for binding (http://:2380)", {"--listen-peer-urls", "http://:2380"}},
      {"expected IP in URL for binding (http://foo.com:1)", {"--listen-metrics-urls", "http://foo.com:1"}},
      {"--initial-advertise-peer-urls \"http://:2380\" must be \"host:port\" (unexpected empty host (http://:2380))",
       {"--initial-advertise-peer-urls", "http://:2380"}},
      {"--advertise-client-urls \"http://:2380\" must be in the format \"host:port\", \"unix:/path/to/socket\" or "
       "\"unixs:/path/to/socket\" (unexpected empty host (http://:2380))",
       {"--advertise-client-urls", "http://:2380"}},
      {"multiple discovery or bootstrap flags are set. Choose one of \"initial-cluster\", \"discovery-endpoints\" or "
       "\"discovery-srv\"",
       {"--initial-cluster", "a=http://127.0.0.1:1", "--discovery-srv", "x"}},
      {"both --discovery-token and --discovery-endpoints must be set", {"--discovery-token", "x"}},
      {"v2 proxy is deprecated, and --discovery-fallback can't be configured as \"proxy\"", {"--discovery-fallback", "proxy"}},
      {"undefined auto-compaction-mode", {"--auto-compaction-mode", ""}},
      {"unknown auto-compaction-mode \"bla\"", {"--auto-compaction-mode", "bla"}},
      {"--compact-hash-check-time must be >0 (set to 0s)", {"--compact-hash-check-time", "0s"}},
      {"enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint",
       {"--feature-gates", "LeaseCheckpointPersist=true"}},
      {"unexpected TLS version \"X\" (must be one of: TLS1.2, TLS1.3)", {"--tls-min-version", "X"}},
      {"min version (TLS1.3) is greater than max version (TLS1.2)", {"--tls-min-version", "TLS1.3", "--tls-max-version", "TLS1.2"}},
      {"cipher suites cannot be configured when only TLS1.3 is enabled", {"--tls-min-version", "TLS1.3", "--cipher-suites", "X"}},
      {"unknown log format: x, supported values json, console", {"--log-format", "x"}},
      {"unknown logger option \"x\"", {"--logger", "x"}},
      {"unrecognized level: \"x\"", {"--log-level", "x"}},
      {"multi logoutput for \"default\" is not supported yet", {"--log-outputs", "stderr,default"}},
      {"--log-outputs requires a single file path when --log-rotate-config-json is defined", {"--enable-log-rotation"}},
      {"open /nonexistent/etcd.yml: no such file or directory", {"--config-file", "/nonexistent/etcd.yml"}}};
  for (const auto& [reason, arguments] : cases) {
    const CommandLine line = parse(arguments);
    CHECK(line.exit_code == 1);
    CHECK(refusal(line) == reason);
    CHECK(has_line(line, base::LogLevel::kWarn, "failed to verify flags"));
  }
}

TEST_CASE("flags: a retention is hours, a duration, or revisions") {
  const auto retention = [](const char* mode, const char* text) {
    Config config;
    config.auto_compaction_mode = mode;
    config.auto_compaction_retention = text;
    return config.parsed_auto_compaction_retention().value_or(base::Duration(-1));
  };
  CHECK(retention("periodic", "0") == base::Duration{});
  CHECK(retention("periodic", "") == base::Duration{});
  CHECK(retention("periodic", "2") == std::chrono::hours(2));
  CHECK(retention("periodic", "+2") == std::chrono::hours(2));
  CHECK(retention("periodic", "1h30m") == std::chrono::minutes(90));
  CHECK(retention("periodic", "300ms") == std::chrono::milliseconds(300));
  CHECK(retention("revision", "1000") == base::Duration(1000));
  CHECK(retention("revision", "1us") == base::Duration(1000));
  CHECK(retention("revision", "x") == base::Duration(-1));
}

TEST_CASE("flags: what the listeners would refuse is a fatal line, as in etcd") {
  const std::vector<std::pair<std::string, Config>> cases = [] {
    std::vector<std::pair<std::string, Config>> list;
    Config c;
    c.auto_compaction_retention = "abc";
    list.emplace_back("error parsing CompactionRetention: time: invalid duration \"abc\"", c);
    for (const auto& [retention, why] : std::map<std::string, std::string>{
             {"-1", "time: missing unit in duration \"-1\""},
             {"-1h", "history of less than no time cannot be kept: \"-1h\""},
             {"9999999999999", "more hours than a duration holds: \"9999999999999\""}}) {
      c.auto_compaction_retention = retention;
      list.emplace_back("error parsing CompactionRetention: " + why, c);
    }
    c = {};
    c.cipher_suites = {"X"};
    list.emplace_back("unexpected TLS cipher suite \"X\"", c);
    c = {};
    c.listen_client_http_urls = c.listen_client_urls;
    list.emplace_back(
        "cannot bind both --listen-client-urls and --listen-client-http-urls on the same url http://localhost:2379", c);
    c = {};
    c.listen_client_urls = {{"https", "127.0.0.1:1", ""}};
    list.emplace_back(
        "TLS key/cert (--cert-file, --key-file) must be provided for client url https://127.0.0.1:1 with HTTPS scheme", c);
    return list;
  }();
  for (const auto& [reason, config] : cases) {
    const auto valid = validate_listeners(config);
    REQUIRE_FALSE(valid);
    CHECK(valid.error().context == reason);
  }
  CHECK(validate_listeners(Config{}));
}

TEST_CASE("flags: help shows every flag once under its heading, and version is read by tools") {
  CommandLine line = parse({"--help"});
  CHECK(line.exit_code == 0);
  CHECK(line.lines.empty());
  for (const char* heading : {"Member", "Clustering", "Security", "Auth", "Profiling and Monitoring", "Logging",
                              "Distributed tracing", "Features", "Unsafe feature"}) {
    CHECK(line.out.find("\n" + std::string(heading) + ":\n") != std::string::npos);
  }
  for (const Flag& flag : flag_table()) {
    const std::string entry = "\n  --" + std::string(flag.name) + " '";
    const std::size_t at = line.out.find(entry);
    CHECK(at != std::string::npos);
    CHECK(line.out.find(entry, at + 1) == std::string::npos);
  }
  line = parse({"--version"});
  CHECK(line.exit_code == 0);
  CHECK(line.out.starts_with("etcd Version: 3.7.1\nGit SHA: etcdpp"));
  CHECK(std::count(line.out.begin(), line.out.end(), '\n') == 4);
}

TEST_CASE("flags: those of long ago are taken and have no effect") {
  CHECK(parse({"--cluster-active-size=3", "--v", "--config", "--test.outputdir=x"}).run);
  CHECK(refusal(parse({"--cluster-active-size", "3"})) == "\"3\" is not a valid flag");
}

TEST_CASE("flags: every flag is either known to do something or in the list of those that do nothing yet") {
  // A value other than the default for each type; flags where that is refused by validation are set by hand below.
  std::size_t refused = 0, taken = 0;
  for (const Flag& flag : flag_table()) {
    Config config;
    const std::string now = flag_text(flag, config);
    const char* other = now == "true" ? "false" : now == "false" ? "true" : "7";
    const Field field = flag.field(config);
    if (std::holds_alternative<base::Duration*>(field)) other = "77s";
    if (std::holds_alternative<std::vector<Url>*>(field)) other = "http://127.0.0.1:77";
    if (!flag.choices.empty() || flag.name == "feature-gates") continue;
    REQUIRE_MESSAGE(!set_flag(flag, config, other), flag.name);
    REQUIRE(flag_text(flag, config) != now);
    if (const auto supported = check_supported(config)) {
      ++taken;
    } else {
      ++refused;
      CHECK(supported.error().code == Errc::kNotSupportedYet);
      CHECK(supported.error().context == "--" + std::string(flag.name) + "=" + flag_text(flag, config));
    }
  }
  CHECK(refused == 43);
  CHECK(taken > 50);
  Config config;
  config.initial_cluster = "default=http://localhost:2380,b=http://localhost:1";
  CHECK_FALSE(check_supported(config));
  config = {};
  config.feature_gates.lease_checkpoint = config.feature_gates.lease_checkpoint_persist = true;
  config.feature_gates.fast_lease_keep_alive = false;
  CHECK(check_supported(config));
  config.feature_gates.compact_hash_check = true;
  CHECK_FALSE(check_supported(config));
}

TEST_CASE("environment: each flag has a variable, which must not meet its flag") {
  CommandLine line = parse({}, {"ETCD_NAME=n", "ETCD_LISTEN_CLIENT_URLS=http://127.0.0.1:1", "ETCD_ADVERTISE_CLIENT_URLS=http://a:1",
                                "ETCD_PRE_VOTE=false", "PATH=/bin", "ETCD_DATA_DIR="});
  REQUIRE(line.run);
  CHECK(line.config.name == "n");
  CHECK_FALSE(line.config.pre_vote);
  CHECK(has_line(line, base::LogLevel::kInfo, "recognized and used environment variable"));
  CHECK(has_line(line, base::LogLevel::kWarn, "unrecognized environment variable"));

  line = parse({"--name", "x"}, {"ETCD_NAME=x"});
  CHECK(line.exit_code == 1);
  REQUIRE(line.lines.size() == 1);
  CHECK(line.lines[0].level == base::LogLevel::kFatal);
  CHECK(line.lines[0].message ==
        "conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable "
        "or disable flag))");
  CHECK(refusal(parse({}, {"ETCD_HEARTBEAT_INTERVAL=abc"})) == "invalid value \"abc\" for ETCD_HEARTBEAT_INTERVAL: parse error");
  CHECK(refusal(parse({}, {"ETCD_LISTEN_CLIENT_URLS=http://127.0.0.1:1"})) ==
        "--advertise-client-urls is required when --listen-client-urls is set explicitly");
  CHECK(refusal(parse({"--name", "x"}, {"ETCD_CONFIG_FILE=/nonexistent"})) == "open /nonexistent: no such file or directory");
  CHECK(has_line(parse({}, {"ETCD_FOO=x"}), base::LogLevel::kWarn, "unrecognized environment variable"));
}

TEST_CASE("file: YAML and JSON, with integers for durations, flags and environment are ignored") {
  CommandLine line = parse_file(
      "name: yy\nsnapshot-count: 7\nfoo: [1, 2]\nlisten-client-urls: http://127.0.0.1:1,http://127.0.0.1:2\n"
      "watch-progress-notify-interval: 1000000000\npre-vote: false\nlog-outputs: [stderr]\nfeature-gates: AllBeta=true\n"
      "socket-options:\n  reuse-port: false\nclient-transport-security:\n  cert-file: ''\n");
  REQUIRE(line.run);
  CHECK(line.config.name == "yy");
  CHECK(line.config.snapshot_count == 7);
  CHECK(line.config.listen_client_urls.size() == 2);
  CHECK(line.config.watch_progress_notify_interval == std::chrono::seconds(1));
  CHECK_FALSE(line.config.pre_vote);
  CHECK(line.config.log_outputs == std::vector<std::string>{"stderr"});

  line = parse_file(R"({"name": "j", "initial-cluster": "j=http://localhost:2380", "max-txn-ops": 5})");
  REQUIRE(line.run);
  CHECK(line.config.name == "j");
  CHECK(line.config.max_txn_ops == 5);

  const std::vector<std::pair<std::string, std::string>> bad{
      {"snapshot-count: abc", "snapshot-count: invalid value \"abc\": parse error"},
      {"watch-progress-notify-interval: 10m", "watch-progress-notify-interval must be a number of nanoseconds, not \"10m\""},
      {"election-timeout: 400", "--election-timeout[400ms] should be at least as 5 times as --heartbeat-interval[100ms]"},
      {"feature-gates: Foo=true", "unrecognized feature gate: Foo"},
      {"initial-cluster-state: foo", "unexpected clusterState \"foo\""},
      {"log-outputs: stderr", "log-outputs must be a list, not a scalar"},
      {"name: [a]", "name must be a scalar, not a list"},
      {"- a", "the file must hold a map of flag names, not a list"},
      {"pre-vote: 7", "pre-vote must be true or false, not \"7\""},
      {"peer-transport-security:\n  allowed-cn: x", "peer-transport-security.allowed-cn must be a list, not a scalar"},
      {"peer-transport-security:\n  auto-tls: true", "--peer-auto-tls=true is not supported yet"},
      {"discovery-config:\n  client:\n    endpoints: [a]", "both --discovery-token and --discovery-endpoints must be set"},
      {"listen-client-urls: http://foo", "unexpected error setting up listen-client-urls: URL address does not have the form "
                                         "\"host:port\": http://foo"}};
  for (const auto& [text, reason] : bad) {
    const CommandLine refused = parse_file(text);
    CHECK(refused.exit_code == 1);
    CHECK(refusal(refused) == reason);
  }
  CHECK(refusal(parse_file("name: [")).starts_with("error converting YAML to JSON: "));
  CHECK(refusal(parse_file(std::string((1 << 20) + 1, '#'))).find("larger than 1 MiB") != std::string::npos);
}

}  // namespace
}  // namespace etcdpp::config
