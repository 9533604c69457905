#include "grpc_metrics.h"

#include <algorithm>
#include <iterator>

#include <etcdserverpb/rpc.pb.h>

namespace etcdpp::server {

namespace {

net::MethodKind kind_of(const google::protobuf::MethodDescriptor& method) {
  if (method.client_streaming()) return net::MethodKind::kBidiStream;
  return method.server_streaming() ? net::MethodKind::kServerStream : net::MethodKind::kUnary;
}

// gRPC's own service, which is no part of etcd's schema.
constexpr std::string_view kHealthService = "grpc.health.v1.Health";
constexpr std::pair<std::string_view, net::MethodKind> kHealthMethods[] = {
    {"Check", net::MethodKind::kUnary}, {"List", net::MethodKind::kUnary}, {"Watch", net::MethodKind::kServerStream}};

}  // namespace

GrpcMetrics::GrpcMetrics(const net::GrpcServer& server, unsigned io_threads) : threads_(io_threads) {
  for (const auto& method : server.methods())
    rows_.push_back({method->service, method->name, std::string(net::method_kind_name(method->kind)), method->index});
  const google::protobuf::FileDescriptor& schema = *etcdserverpb::RangeRequest::descriptor()->file();
  for (int s = 0; s < schema.service_count(); ++s)
    for (int m = 0; m < schema.service(s)->method_count(); ++m) {
      const auto& method = *schema.service(s)->method(m);
      if (server.find("/" + schema.service(s)->full_name() + "/" + method.name())) continue;
      rows_.push_back({schema.service(s)->full_name(), method.name(), std::string(net::method_kind_name(kind_of(method))), kUncounted});
    }
  for (const auto& [name, kind] : kHealthMethods)
    if (!server.find("/" + std::string(kHealthService) + "/" + std::string(name)))
      rows_.push_back({std::string(kHealthService), std::string(name), std::string(net::method_kind_name(kind)), kUncounted});
  std::ranges::sort(rows_, {}, [](const Row& row) { return std::tie(row.name, row.service); });
  for (Thread& thread : threads_) thread.methods = std::vector<Method>(server.methods().size());
}

void GrpcMetrics::on_started(const net::GrpcMethod& method, unsigned io_thread) {
  threads_[io_thread].methods[method.index].started.add(1);
}

void GrpcMetrics::on_handled(const net::GrpcMethod& method, net::StatusCode code, base::Duration elapsed, unsigned io_thread) {
  Method& counters = threads_[io_thread].methods[method.index];
  counters.handled[static_cast<std::size_t>(code)].add(1);
  const double seconds = std::chrono::duration<double>(elapsed).count();
  std::size_t i = 0;
  while (i < kBounds.size() && seconds > kBounds[i]) ++i;
  counters.times[i].add(1);
  counters.nanoseconds.add(static_cast<std::uint64_t>(elapsed.count()));
}

void GrpcMetrics::on_received(const net::GrpcMethod& method, std::size_t message_bytes, unsigned io_thread) {
  Thread& thread = threads_[io_thread];
  thread.methods[method.index].received.add(1);
  thread.received_bytes.add(message_bytes);
}

void GrpcMetrics::on_sent(const net::GrpcMethod& method, std::size_t message_bytes, unsigned io_thread) {
  Thread& thread = threads_[io_thread];
  thread.methods[method.index].sent.add(1);
  thread.sent_bytes.add(message_bytes);
}

template <typename Pick>
std::uint64_t GrpcMetrics::sum(const Row& row, Pick pick) const {
  std::uint64_t total = 0;
  if (row.index != kUncounted)
    for (const Thread& thread : threads_) total += pick(thread.methods[row.index]).value();
  return total;
}

void GrpcMetrics::collect(Families& families, bool times) const {
  const auto labels = [](const Row& row) {
    return Labels{{"grpc_method", row.name}, {"grpc_service", row.service}, {"grpc_type", row.type}};
  };
  const auto count = [](std::uint64_t n) { return static_cast<double>(n); };
  for (const Row& row : rows_)
    families.counter("grpc_server_started_total", "Calls begun, whatever became of them.",
                     count(sum(row, [](const Method& m) -> auto& { return m.started; })), labels(row));
  for (unsigned code = 0; code < net::kStatusCodes; ++code)
    for (const Row& row : rows_) {
      Labels with_code{{"grpc_code", std::string(net::status_code_name(static_cast<net::StatusCode>(code)))}};
      std::ranges::move(labels(row), std::back_inserter(with_code));
      families.counter("grpc_server_handled_total", "Calls ended, by status code.",
                       count(sum(row, [code](const Method& m) -> auto& { return m.handled[code]; })), with_code);
    }
  for (const Row& row : rows_)
    families.counter("grpc_server_msg_received_total", "Messages received in calls.",
                     count(sum(row, [](const Method& m) -> auto& { return m.received; })), labels(row));
  for (const Row& row : rows_)
    families.counter("grpc_server_msg_sent_total", "Messages sent in calls.",
                     count(sum(row, [](const Method& m) -> auto& { return m.sent; })), labels(row));
  if (times)
    for (const Row& row : rows_) {
      std::array<std::uint64_t, kBounds.size() + 1> counts{};
      for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = sum(row, [i](const Method& m) -> auto& { return m.times[i]; });
      const double seconds = 1e-9 * count(sum(row, [](const Method& m) -> auto& { return m.nanoseconds; }));
      families.histogram("grpc_server_handling_seconds", "Time from a call's headers to its status.", kBounds, counts, seconds,
                         labels(row));
    }
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  for (const Thread& thread : threads_) {
    received += thread.received_bytes.value();
    sent += thread.sent_bytes.value();
  }
  families.counter("etcd_network_client_grpc_received_bytes_total", "Bytes of the messages that clients sent.", count(received));
  families.counter("etcd_network_client_grpc_sent_bytes_total", "Bytes of the messages sent to clients.", count(sent));
}

}  // namespace etcdpp::server
