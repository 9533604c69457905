#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/logger.h>
#include <etcdpp/base/result.h>
#include <etcdpp/net/grpc_server.h>
#include <etcdpp/net/http1.h>
#include <etcdpp/net/io_thread.h>
#include <etcdpp/net/limits.h>

namespace etcdpp::net {

/// A listen URL taken apart: http://ip:port, https://ip:port, unix://path, unixs://path. Names other than localhost are
/// refused, as etcd does.
struct ListenUrl {
  bool tls = false;
  bool unix_socket = false;
  std::string host;  // an IP address, or the socket's file name ("localhost:2379" of unix://localhost:2379)
  std::uint16_t port = 0;

  static base::Result<ListenUrl> parse(std::string_view url);
};

/// Which protocols a port speaks; the first bytes of a connection choose among them (HTTP/2's preface or anything else).
/// A null one is refused: HTTP/2 by closing, HTTP/1.x by 404 on every path.
struct Protocols {
  const GrpcServer* grpc = nullptr;
  const HttpServer* http = nullptr;
};

/// What a listener has seen, for metrics; readable from any thread.
struct ListenerStats {
  std::uint64_t accepted = 0;
  std::uint64_t open_connections = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_bytes = 0;
};

/// One listening socket (one per URL), and the connections accepted from it, spread over the I/O threads in turn.
///
/// open() binds and listens, so that a port in use is an error at start; nothing is accepted before start(). At the
/// connection limit the listener stops accepting until somebody leaves (the kernel's backlog then fills).
///
/// Threads: open, start, drain, stop from the thread that assembles the server. Ownership: threads, protocols and logger
/// outlive the listener. Shutting down: drain(), stop(grace), destroy; then IoThreads::stop().
class Listener {
 public:
  static base::Result<std::unique_ptr<Listener>> open(std::string_view url, IoThreads& threads, Protocols protocols,
                                                      const Limits& limits, base::Logger& logger);
  /// Stops hard if it is still running; removes a unix socket's file.
  ~Listener();

  /// "127.0.0.1:2379", with the port that the kernel chose where the URL said 0; the path of a unix socket.
  const std::string& address() const;
  std::uint16_t port() const;

  void start();
  /// No more connections; the open ones get GOAWAY and end when their calls have: new calls are refused so that clients
  /// retry elsewhere. Returns at once.
  void drain();
  /// Waits up to `grace` for the connections to end, then cancels what is left (kShutdown; clients see UNAVAILABLE) and
  /// closes. Returns when no connection is left. Not from an I/O thread.
  void stop(base::Duration grace);

  ListenerStats stats() const;

 private:
  struct Core;
  explicit Listener(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace etcdpp::net
