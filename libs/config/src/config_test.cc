#include <etcdpp/config/config.h>

#include <etcdpp/base/bytes.h>
#include <etcdpp/config/errc.h>
#include <etcdpp/config/identity.h>

#include <doctest/doctest.h>

#include "go_syntax.h"

namespace etcdpp::config {
namespace {

using namespace std::chrono_literals;

BootstrapIdentity identity_of(const std::string& cluster, const std::string& token) {
  const auto members = parse_initial_cluster(cluster);
  REQUIRE(members);
  const auto identity = bootstrap_identity(*members, token);
  REQUIRE(identity);
  return *identity;
}

TEST_CASE("identity: the ids that etcd 3.7.1 gave the same clusters") {
  struct Row {
    std::string cluster, token;
    std::vector<std::string> members;
    std::string id;
  };
  const std::vector<Row> rows{
      {"default=http://localhost:2380", "etcd-cluster", {"8e9e05c52164694d"}, "cdf818194e3a8c32"},
      {"a=http://127.0.0.1:23080", "tok", {"d55fd7f65a1cb473"}, "c71b610d6b4fb424"},
      {"a=http://127.0.0.1:23183,a=http://127.0.0.1:23182", "t2", {"aedbf337db2028c9"}, "24ae6e919f539531"},
      {"a=http://127.0.0.1:12380,b=http://127.0.0.1:22380,c=http://127.0.0.1:32380",
       "etcd-cluster",
       {"628170c800dbcee", "9e737febb6b99eee", "ddd67b312462fd7b"},
       "73841b4a9097c907"}};
  for (const Row& row : rows) {
    const BootstrapIdentity identity = identity_of(row.cluster, row.token);
    CHECK(base::hex(identity.cluster_id) == row.id);
    REQUIRE(identity.members.size() == row.members.size());
    for (std::size_t i = 0; i < row.members.size(); ++i) CHECK(base::hex(identity.members[i].id) == row.members[i]);
  }
  CHECK(member_id({"http://b", "http://a"}, "t") == member_id({"http://a", "http://b"}, "t"));
  CHECK(member_id({"http://a"}, "", 17) == member_id({"http://a"}, "17"));
}

TEST_CASE("identity: two members of one id are refused") {
  const auto cluster = parse_initial_cluster("a=http://h:1,b=http://h:1");
  REQUIRE(cluster);
  CHECK_FALSE(bootstrap_identity(*cluster, "t"));
}

TEST_CASE("initial cluster: names, repeated names, and what etcd refuses") {
  const auto cluster = parse_initial_cluster("b=http://h:2,a=http://h:3,b=http://h:1");
  REQUIRE(cluster);
  CHECK(initial_cluster_text(*cluster) == "a=http://h:3,b=http://h:1,b=http://h:2");
  for (const char* bad : {"a", "a=", "a=x", "a=http://h:1,b="}) {
    const auto refused = parse_initial_cluster(bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().context.starts_with("error setting up initial cluster: URL scheme must be http, https, unix, or unixs: "));
  }
  REQUIRE(parse_initial_cluster(""));
  CHECK(parse_initial_cluster("")->empty());
}

TEST_CASE("initial cluster: the local member must be in it, with the URLs that it advertises") {
  const auto check = [](const char* text, const char* name, const char* advertised, const Resolver& resolve = {}) {
    const auto cluster = parse_initial_cluster(text);
    REQUIRE(cluster);
    const auto result = check_local_member(*cluster, name, *parse_url_list(advertised), resolve);
    return result ? std::string() : result.error().context;
  };
  CHECK(check("a=http://h:1", "a", "http://h:1") == "");
  CHECK(check("a=http://h:1,a=http://h:2", "a", "http://h:2,http://h:1") == "");
  CHECK(check("", "default", "http://h:1") == "couldn't find local name \"default\" in the initial cluster configuration");
  CHECK(check("default=http://localhost:2380,b=http://localhost:2380", "b", "http://h:1") ==
        "initial cluster b=http://localhost:2380,default=http://localhost:2380 has duplicate url");
  CHECK(check("default=http://127.0.0.1:1", "default", "http://localhost:2380") ==
        "--initial-cluster has default=http://127.0.0.1:1 but missing from --initial-advertise-peer-urls=http://localhost:2380 "
        "(resolved urls: \"http://localhost:2380\" != \"http://127.0.0.1:1\")");
  CHECK(check("x=http://localhost:2380,x=http://127.0.0.1:2", "x", "http://localhost:2380") ==
        "--initial-cluster has x=http://127.0.0.1:2 but missing from --initial-advertise-peer-urls=http://localhost:2380 "
        "(len([\"http://localhost:2380\"]) != len([\"http://127.0.0.1:2\" \"http://localhost:2380\"]))");
  CHECK(check("x=http://a:1", "x", "http://a:1,http://b:1") ==
        "--initial-advertise-peer-urls has http://b:1 but missing from --initial-cluster=x=http://a:1");
  const Resolver resolve = [](const std::string&) { return std::optional<std::string>("10.0.0.1:1"); };
  CHECK(check("x=http://a:1", "x", "http://b:1", resolve) == "");
}

TEST_CASE("url: parts, unix sockets, addresses of both families") {
  auto url = parse_url(" HTTP://[::1]:2380 ");
  REQUIRE(url);
  CHECK(url->text() == "http://[::1]:2380");
  CHECK(url->hostname() == "::1");
  CHECK(url->port() == 2380);
  CHECK_FALSE(url->tls());
  url = parse_url("unixs:///run/etcd.sock");
  REQUIRE(url);
  CHECK(url->tls());
  CHECK(url->socket_path() == "/run/etcd.sock");
  CHECK(url->text() == "unixs:///run/etcd.sock");
  url = parse_url("unix://localhost:2379");
  REQUIRE(url);
  CHECK(url->socket_path() == "localhost:2379");
  for (const char* bad : {"", "http", "http://", "http://:", "http://h:", "http://h", "http://h:1/", "http://h:1?x", "http://u@h:1",
                          "http://::1:80", "http://h:65536", "http://h:-1", "http://h h:1", "http://h\x01:1", "unix://", ":x", "1x://h:1"}) {
    CHECK_FALSE_MESSAGE(parse_url(bad), bad);
  }
}

TEST_CASE("durations: printed and read as Go does") {
  const std::vector<std::pair<base::Duration, std::string>> pairs{
      {0ns, "0s"}, {1ns, "1ns"}, {1100ns, "1.1µs"}, {100ms, "100ms"}, {1500ms, "1.5s"}, {1min, "1m0s"}, {2h, "2h0m0s"},
      {2h + 45min + 30500ms, "2h45m30.5s"}, {-3s, "-3s"}, {base::Duration::max(), "2562047h47m16.854775807s"}};
  for (const auto& [duration, text] : pairs) {
    CHECK(go_duration(duration) == text);
    const auto parsed = parse_go_duration(text);
    REQUIRE(parsed);
    CHECK(*parsed == duration);
  }
  CHECK(*parse_go_duration("1.5h") == 90min);
  CHECK(*parse_go_duration("0") == 0ns);
  CHECK(*parse_go_duration(".5s") == 500ms);
  for (const char* bad : {"", "5", "s", "-", ".s", "5x", "1s5", "9999999999h", "1e3s", " 1s"}) CHECK_FALSE_MESSAGE(parse_go_duration(bad), bad);
}

TEST_CASE("numbers: Go's base 0") {
  std::uint64_t u = 0;
  std::int64_t i = 0;
  CHECK((parse_go_unsigned("0x1_0", u) == NumberError::kNone && u == 16));
  CHECK((parse_go_unsigned("017", u) == NumberError::kNone && u == 15));
  CHECK((parse_go_unsigned("0b101", u) == NumberError::kNone && u == 5));
  CHECK((parse_go_unsigned("18446744073709551615", u) == NumberError::kNone && u == UINT64_MAX));
  CHECK(parse_go_unsigned("18446744073709551616", u) == NumberError::kRange);
  CHECK((parse_go_signed("-9223372036854775808", i) == NumberError::kNone && i == INT64_MIN));
  CHECK(parse_go_signed("9223372036854775808", i) == NumberError::kRange);
  for (const char* bad : {"", "-", "_1", "1_", "1__0", "0x", "08", "1.0", "1e3", "+-1"}) CHECK_MESSAGE(parse_go_signed(bad, i) == NumberError::kSyntax, bad);
}

TEST_CASE("feature gates: a stage's switch yields to a gate's own, in any order") {
  auto gates = parse_feature_gates("LeaseCheckpoint=false, AllAlpha=true,AllBeta=f");
  REQUIRE(gates);
  CHECK_FALSE(gates->lease_checkpoint);
  CHECK(gates->priority_request);
  CHECK_FALSE(gates->fast_lease_keep_alive);
  gates = parse_feature_gates("");
  REQUIRE(gates);
  CHECK(*gates == FeatureGates{});
  CHECK_FALSE(parse_feature_gates("LeaseCheckpoint=true,"));
}

TEST_CASE("config: each error has a text") {
  for (int e = static_cast<int>(Errc::kInvalidUrl); e <= static_cast<int>(Errc::kLogOutput); ++e) {
    CHECK(make_error_code(static_cast<Errc>(e)).message() != "unknown configuration error");
  }
}

}  // namespace
}  // namespace etcdpp::config
