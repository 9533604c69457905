#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <etcdpp/base/clock.h>

namespace etcdpp::net {

/// Every bound that a client meets. The defaults are etcd's where etcd has the limit, ours (marked *) where it has none.
/// Times are wall-clock durations, sizes bytes.
struct Limits {
  // Messages and streams.
  std::size_t max_receive_message = 1572864 + 524288;   // max-request-bytes + 512 KiB; above: RESOURCE_EXHAUSTED
  std::uint32_t max_concurrent_streams = 0xffffffffu;   // max-concurrent-streams, per HTTP/2 connection
  std::size_t max_calls_per_connection = 100'000;       // * open calls, cancelled ones whose handler still runs included; above: REFUSED_STREAM
  std::size_t max_calls_per_thread = 200'000;           // * the same over all connections of an I/O thread
  std::size_t max_header_list = 64 * 1024;              // * decoded request headers; above: RESOURCE_EXHAUSTED
  std::size_t receive_budget_per_connection = 32u << 20;  // * partly received large messages; further ones wait with closed windows
  std::size_t receive_budget_per_thread = 128u << 20;   // *
  std::uint32_t stream_window = 64 * 1024 - 1;          // HTTP/2 receive windows
  std::uint32_t connection_window = 1u << 20;
  std::size_t connection_send_buffer = 256 * 1024;      // * framed bytes that wait for the socket, per connection

  // Time.
  base::Duration preface_timeout = std::chrono::seconds(120);  // first bytes that tell the protocol
  base::Duration header_timeout = std::chrono::minutes(5);     // a request's header, HTTP/1.1 as etcd; HTTP/2 header blocks get 10 s *
  base::Duration message_timeout = std::chrono::seconds(60);   // * from a call's header or a message's first byte to its last
  base::Duration idle_http1_timeout = std::chrono::minutes(5); // * between requests on a kept-alive HTTP/1.1 connection
  base::Duration write_timeout = std::chrono::seconds(60);     // * a socket that takes nothing although we have something for it
  base::Duration keepalive_min_time = std::chrono::seconds(5); // grpc-keepalive-min-time: client pings closer than that
  base::Duration keepalive_interval = std::chrono::hours(2);   // grpc-keepalive-interval: silence after which we ping
  base::Duration keepalive_timeout = std::chrono::seconds(20); // grpc-keepalive-timeout: for the answer to that ping
  bool keepalive_without_stream = false;                       // clients may ping without an open stream

  // * Floods: tokens that refill; an empty bucket is answered by GOAWAY ENHANCE_YOUR_CALM.
  std::uint32_t reset_burst = 2000;      // streams that the client resets or makes us reset
  std::uint32_t resets_per_second = 500;
  std::uint32_t control_burst = 2000;    // PING, SETTINGS, PRIORITY, empty DATA
  std::uint32_t control_per_second = 500;

  // HTTP/1.1.
  std::size_t max_http1_header = 64 * 1024;
  std::size_t max_http1_body = 1572864 + 524288;

  // A listener.
  std::size_t max_connections = 0;  // 0: etcd's rule, limit of open files - 150
};

}  // namespace etcdpp::net
