#include <doctest/doctest.h>

#include <limits>
#include <sstream>
#include <thread>

#include "../request_codec.h"
#include "client_versions.h"
#include "compaction_times.h"
#include "counter.h"
#include "families.h"
#include "grpc_metrics.h"
#include "health_checks.h"
#include "process_stats.h"
#include "request_times.h"

namespace etcdpp::server {

namespace {

std::size_t lines_with(const std::string& text, std::string_view part) {
  std::istringstream in(text);
  std::size_t n = 0;
  for (std::string line; std::getline(in, line);) n += line.find(part) != std::string::npos;
  return n;
}

bool has_line(const std::string& text, const std::string& line) { return ("\n" + text).find("\n" + line + "\n") != std::string::npos; }

}  // namespace

TEST_CASE("families are sorted by name, each with help and type before its samples") {
  Families families;
  families.gauge("zebra", "Stripes.", 2);
  families.counter("ant", "Legs.", 6, {{"side", "left"}});
  families.counter("ant", "Legs.", 7, {{"side", "a \"quoted\" one"}});
  CHECK(std::move(families).text() ==
        "# HELP ant Legs.\n# TYPE ant counter\nant{side=\"left\"} 6\nant{side=\"a \\\"quoted\\\" one\"} 7\n"
        "# HELP zebra Stripes.\n# TYPE zebra gauge\nzebra 2\n");
}

TEST_CASE("a histogram is cumulative and ends with infinity") {
  Histogram histogram(exponential_bounds(0.001, 2, 3));
  for (const double v : {0.0005, 0.001, 0.0011, 0.004, 5.0}) histogram.observe(v);
  Families families;
  families.histogram("t", "Times.", histogram);
  const std::string text = std::move(families).text();
  CHECK(has_line(text, "t_bucket{le=\"0.001\"} 2"));
  CHECK(has_line(text, "t_bucket{le=\"0.002\"} 3"));
  CHECK(has_line(text, "t_bucket{le=\"0.004\"} 4"));
  CHECK(has_line(text, "t_bucket{le=\"+Inf\"} 5"));
  CHECK(has_line(text, "t_count 5"));
  CHECK(lines_with(text, "t_sum 5.0066") == 1);
}

TEST_CASE("exponential bounds print as etcd's do") {
  Families families;
  families.histogram("t", "Times.", Histogram(exponential_bounds(0.0001, 2, 20)));
  families.histogram("u", "Times.", Histogram(exponential_bounds(0.001, 2, 14)));
  const std::string text = std::move(families).text();
  for (const char* le : {"0.0001", "0.0016", "0.8192", "1.6384", "52.4288"})
    CHECK(has_line(text, "t_bucket{le=\"" + std::string(le) + "\"} 0"));
  CHECK(has_line(text, "u_bucket{le=\"8.192\"} 0"));
}

TEST_CASE("numbers are written as Go writes them") {
  CHECK(go_number(0) == "0");
  CHECK(go_number(-1) == "-1");
  CHECK(go_number(20000) == "20000");
  CHECK(go_number(999999) == "999999");
  CHECK(go_number(1048576) == "1.048576e+06");
  CHECK(go_number(2147483648.0) == "2.147483648e+09");
  CHECK(go_number(1e21) == "1e+21");
  CHECK(go_number(0.1) == "0.1");
  CHECK(go_number(0.0001) == "0.0001");
  CHECK(go_number(0.00005) == "5e-05");
  CHECK(go_number(std::numeric_limits<double>::infinity()) == "+Inf");
}

TEST_CASE("a counter that many threads add to loses nothing") {
  Counter counter;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 10'000; ++i) counter.add();
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(counter.value() == 40'000);
}

TEST_CASE("every method and code is there at zero, calls are counted over threads") {
  net::GrpcServer server;
  const net::GrpcMethod& range = server.unary("/etcdserverpb.KV/Range", [](net::CallRef, std::string_view) {});
  const net::GrpcMethod& watch = server.bidi_stream("/etcdserverpb.Watch/Watch", {});
  GrpcMetrics metrics(server, 2);
  for (const unsigned thread : {0u, 1u, 1u}) {
    metrics.on_started(range, thread);
    metrics.on_received(range, 10, thread);
    metrics.on_sent(range, 100, thread);
    metrics.on_handled(range, net::StatusCode::kOk, std::chrono::milliseconds(7), thread);
  }
  metrics.on_started(watch, 0);
  metrics.on_handled(range, net::StatusCode::kInvalidArgument, std::chrono::seconds(20), 0);

  Families families;
  metrics.collect(families, true);
  const std::string text = std::move(families).text();
  // The six services of etcdserverpb and gRPC's Health, whoever is registered here.
  CHECK(lines_with(text, "grpc_server_started_total{") == 45);
  CHECK(lines_with(text, "grpc_server_handled_total{") == 45 * 17);
  CHECK(has_line(text, R"(grpc_server_started_total{grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"} 3)"));
  CHECK(has_line(text, R"(grpc_server_started_total{grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"} 1)"));
  CHECK(has_line(text, R"(grpc_server_started_total{grpc_method="Snapshot",grpc_service="etcdserverpb.Maintenance",grpc_type="server_stream"} 0)"));
  CHECK(has_line(text, R"(grpc_server_handled_total{grpc_code="OK",grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"} 3)"));
  CHECK(has_line(text, R"(grpc_server_handled_total{grpc_code="InvalidArgument",grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"} 1)"));
  CHECK(has_line(text, R"(grpc_server_handled_total{grpc_code="Canceled",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 0)"));
  CHECK(has_line(text, R"(grpc_server_handling_seconds_bucket{grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary",le="0.01"} 3)"));
  CHECK(has_line(text, R"(grpc_server_handling_seconds_bucket{grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary",le="+Inf"} 4)"));
  CHECK(has_line(text, "etcd_network_client_grpc_received_bytes_total 30"));
  CHECK(has_line(text, "etcd_network_client_grpc_sent_bytes_total 300"));

  Families basic;
  metrics.collect(basic, false);
  CHECK(lines_with(std::move(basic).text(), "handling_seconds") == 0);
}

TEST_CASE("clients cannot invent versions without end") {
  ClientVersions versions;
  versions.count("", false);
  versions.count("3.7.1", false);
  versions.count("3.7.1", true);
  for (int i = 0; i < 1000; ++i) versions.count("made up " + std::to_string(i), false);
  versions.count(std::string(10'000, 'x'), false);
  Families families;
  versions.collect(families);
  const std::string text = std::move(families).text();
  CHECK(has_line(text, R"(etcd_server_client_requests_total{client_api_version="unknown",type="unary"} 1)"));
  CHECK(has_line(text, R"(etcd_server_client_requests_total{client_api_version="3.7.1",type="unary"} 1)"));
  CHECK(has_line(text, R"(etcd_server_client_requests_total{client_api_version="3.7.1",type="stream"} 1)"));
  CHECK(lines_with(text, "client_api_version=") == 34);
  CHECK(has_line(text, R"(etcd_server_client_requests_total{client_api_version="other",type="unary"} 971)"));
}

TEST_CASE("requests are timed by kind and outcome, and a kind that never came is not named") {
  RequestTimes times(exponential_bounds(0.001, 2, 14));
  times.observe(RequestKind::kPut, true, std::chrono::milliseconds(3));
  times.observe(RequestKind::kPut, false, std::chrono::milliseconds(9));
  times.observe(RequestKind::kReadonlyTxn, true, std::chrono::milliseconds(1));
  Families families;
  times.collect(families, "t", "Times.", "op", {{"version", "v3"}});
  const std::string text = std::move(families).text();
  CHECK(has_line(text, R"(t_bucket{op="Put",success="true",version="v3",le="0.002"} 0)"));
  CHECK(has_line(text, R"(t_bucket{op="Put",success="true",version="v3",le="0.004"} 1)"));
  CHECK(has_line(text, R"(t_count{op="Put",success="false",version="v3"} 1)"));
  CHECK(has_line(text, R"(t_count{op="ReadonlyTxn",success="true",version="v3"} 1)"));
  CHECK(lines_with(text, "t_count") == 3);

  etcdserverpb::InternalRaftRequest request;
  CHECK(name_of(kind_of(request)) == "unknown");
  request.mutable_lease_grant();
  CHECK(name_of(kind_of(request)) == "LeaseGrant");
  CHECK(name_of(kind_of(RequestField::kAlarm)) == "Alarm");
}

TEST_CASE("a compaction's time is from its application to the end, and one that a later one has overtaken ends with it") {
  CompactionTimes times;
  base::ManualClock clock;
  times.scheduled(10, clock.now());
  clock.advance(std::chrono::seconds(1));
  times.scheduled(20, clock.now());
  clock.advance(std::chrono::seconds(1));
  CHECK_FALSE(times.finished(5, clock.now()));
  CHECK(times.finished(20, clock.now()) == std::chrono::seconds(1));
  CHECK_FALSE(times.finished(20, clock.now()));
}

TEST_CASE("health checks are in the page once they were run") {
  HealthCheckCounts counts;
  counts.count("readyz", "linearizable_read", true);
  counts.count("readyz", "linearizable_read", false);
  counts.count("readyz", "no such check", true);
  Families families;
  counts.collect(families);
  const std::string text = std::move(families).text();
  CHECK(has_line(text, R"(etcd_server_healthcheck{name="linearizable_read",type="readyz"} 0)"));
  CHECK(has_line(text, R"(etcd_server_healthchecks_total{name="linearizable_read",status="success",type="readyz"} 1)"));
  CHECK(has_line(text, R"(etcd_server_healthchecks_total{name="linearizable_read",status="error",type="readyz"} 1)"));
  CHECK(lines_with(text, "type=") == 3);
}

TEST_CASE("the process knows itself") {
  const ProcessStats stats = ProcessStats::read();
  CHECK(stats.resident_bytes > 100'000);
  CHECK(stats.virtual_bytes >= stats.resident_bytes);
  CHECK(stats.open_fds >= 3);
  CHECK(stats.fd_limit >= static_cast<double>(stats.open_fds));
  CHECK(stats.start_time_seconds > 1.6e9);
}

}  // namespace etcdpp::server
