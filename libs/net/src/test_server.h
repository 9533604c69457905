#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include <etcdpp/net/listener.h>

namespace etcdpp::net {

/// A server in this process on a free port, for tests: register methods, then start().
class TestServer {
 public:
  explicit TestServer(unsigned threads = 2) : io(threads, clock) {}
  ~TestServer() { stop(); }

  void start(const std::string& url = "http://127.0.0.1:0") {
    auto opened = Listener::open(url, io, {&grpc, &http}, limits, base::null_logger());
    REQUIRE_MESSAGE(opened, opened.error().message());
    listener = std::move(*opened);
    io.start();
    listener->start();
  }
  void stop() {
    if (!listener) return;
    listener->stop({});
    listener.reset();
    io.stop();
  }
  std::uint16_t port() const { return listener->port(); }

  /// Runs `work` in I/O thread `i` and returns its result.
  template <typename Work>
  auto in_thread(unsigned i, Work work) {
    std::promise<decltype(work())> done;
    io[i].post([&] {
      if constexpr (std::is_void_v<decltype(work())>) {
        work();
        done.set_value();
      } else {
        done.set_value(work());
      }
    });
    return done.get_future().get();
  }

  base::SystemClock clock;
  Limits limits;
  GrpcServer grpc;
  HttpServer http;
  IoThreads io;
  std::unique_ptr<Listener> listener;
};

/// Waits until `what` holds, at most ten seconds.
bool eventually(const std::function<bool()>& what);

}  // namespace etcdpp::net
