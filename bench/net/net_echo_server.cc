// A gRPC server that gives each message back: what a unary call costs without a database behind it.
//
//   net_echo_server [url] [threads]      default http://127.0.0.1:23790 1
//
// Measured with, for example (message.bin: five bytes of gRPC prefix, then the message):
//   h2load -c 10 -m 10 -n 1000000 -d message.bin -H 'content-type: application/grpc' -H 'te: trailers'
//     http://127.0.0.1:23790/bench.Echo/Unary
// The server prints its CPU time per call when it ends (SIGINT or SIGTERM).

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <sys/resource.h>

#include <etcdpp/net/listener.h>

using namespace etcdpp;

namespace {

class EchoStream final : public net::GrpcStream {
 public:
  explicit EchoStream(net::GrpcCall& call) : call_(call) {}
  void on_message(std::string_view message) override { call_.send_message(std::string(message)); }
  void on_half_close() override { call_.finish(net::StatusCode::kOk, {}); }

 private:
  net::GrpcCall& call_;
};

class CallCounter final : public net::GrpcObserver {
 public:
  void on_started(const net::GrpcMethod&, unsigned thread) override { ++calls[thread % 16].count; }
  void on_handled(const net::GrpcMethod&, net::StatusCode, base::Duration, unsigned) override {}
  void on_received(const net::GrpcMethod&, std::size_t, unsigned) override {}
  void on_sent(const net::GrpcMethod&, std::size_t, unsigned) override {}
  struct alignas(64) Slot {
    std::uint64_t count = 0;
  } calls[16];
};

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const base::SystemClock clock;
  net::IoThreads threads(argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1, clock);
  net::GrpcServer grpc;
  CallCounter counter;
  grpc.set_observer(&counter);
  grpc.unary("/bench.Echo/Unary", [](net::CallRef call, std::string_view message) { call->reply(std::string(message)); });
  grpc.bidi_stream("/bench.Echo/Stream", [](net::GrpcCall& call) { return std::make_unique<EchoStream>(call); });
  net::HttpServer http;
  http.handle("/health", [](net::HttpExchangePtr exchange) { exchange->respond(net::HttpResponse::json(200, R"({"health":"true"})")); });

  auto listener = net::Listener::open(argc > 1 ? argv[1] : "http://127.0.0.1:23790", threads, {&grpc, &http}, net::Limits{}, base::null_logger());
  if (!listener) {
    std::fprintf(stderr, "%s\n", listener.error().message().c_str());
    return 1;
  }
  threads.start();
  (*listener)->start();
  std::printf("listening on %s\n", (*listener)->address().c_str());
  std::fflush(stdout);

  int signal = 0;
  sigwait(&signals, &signal);
  (*listener)->stop(std::chrono::milliseconds(200));
  threads.stop();
  std::uint64_t calls = 0;
  for (const auto& slot : counter.calls) calls += slot.count;
  std::printf("%llu calls, %.2f us of CPU each\n", static_cast<unsigned long long>(calls),
              calls == 0 ? 0.0 : cpu_seconds() * 1e6 / static_cast<double>(calls));
  return 0;
}
