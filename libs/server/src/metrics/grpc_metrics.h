#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include <etcdpp/net/grpc_server.h>

#include "counter.h"
#include "families.h"

namespace etcdpp::server {

/// The grpc_server_* families and the bytes to and from clients.
///
/// Threads: the observer's functions in the I/O threads, each of which has tables of its own, so that a call costs a few
/// plain additions; collect() in any.
/// Order: made when all methods are registered, before a listener starts. Every method of etcd's services is there from
/// the first scrape on, at zero, with every code; those that this server does not answer stay there.
class GrpcMetrics final : public net::GrpcObserver {
 public:
  GrpcMetrics(const net::GrpcServer& server, unsigned io_threads);

  void on_started(const net::GrpcMethod& method, unsigned io_thread) override;
  void on_handled(const net::GrpcMethod& method, net::StatusCode code, base::Duration elapsed, unsigned io_thread) override;
  void on_received(const net::GrpcMethod& method, std::size_t message_bytes, unsigned io_thread) override;
  void on_sent(const net::GrpcMethod& method, std::size_t message_bytes, unsigned io_thread) override;

  /// `times`: grpc_server_handling_seconds too (--metrics extensive).
  void collect(Families& families, bool times) const;

 private:
  static constexpr std::array kBounds{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0};

  struct Method {
    OwnedCounter started, received, sent;
    std::array<OwnedCounter, net::kStatusCodes> handled;
    std::array<OwnedCounter, kBounds.size() + 1> times;
    OwnedCounter nanoseconds;
  };
  struct alignas(64) Thread {
    std::vector<Method> methods;  // by GrpcMethod::index
    OwnedCounter received_bytes, sent_bytes;
  };
  /// One line of the families: a method, and where it is counted.
  struct Row {
    std::string service, name, type;
    unsigned index = kUncounted;
  };
  static constexpr unsigned kUncounted = ~0u;

  template <typename Pick>
  std::uint64_t sum(const Row& row, Pick pick) const;

  std::vector<Thread> threads_;
  std::vector<Row> rows_;  // by method, then service
};

}  // namespace etcdpp::server
