#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <etcdpp/base/random.h>

#include "gzip.h"
#include "http1_session.h"
#include "http2_session.h"
#include "test_client.h"

using namespace etcdpp;
using namespace etcdpp::net;
using namespace std::chrono_literals;

// Sessions without sockets, fed from a seed: frames that are mostly well-formed but senseless, in pieces of any size, with
// handlers that answer at once, later, in parts or never, and time that jumps.

namespace {

class FakeHost final : public SessionHost {
 public:
  explicit FakeHost(IoThread& io) : io_(io) {}
  void mark_dirty() override {}
  void check_at(base::Instant) override {}
  base::Instant now() const override { return io_.now(); }
  std::string_view peer() const override { return "fuzz"; }

 private:
  IoThread& io_;
};

struct Handlers {
  base::Random random{0};
  std::vector<CallRef> held;
  int cancelled = 0;

  void answer(GrpcCall& call) {
    switch (random.below(5)) {
      case 0: call.reply(std::string(random.below(100'000), 'r')); break;
      case 1: call.finish(StatusCode::kAborted, "no"); break;
      case 2: call.send_message(std::string(random.below(50), 'm'), {base::SharedBytes(std::string_view("shared"))}); break;
      case 3: call.pause_receiving(random.one_in(2)); break;
      default: break;
    }
  }
  void churn() {
    for (std::uint64_t i = 0, n = random.below(4); i < n && !held.empty(); ++i) {
      const std::size_t at = random.below(held.size());
      answer(*held[at]);
      if (random.one_in(2)) held.erase(held.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
};

class FuzzStream final : public GrpcStream {
 public:
  FuzzStream(GrpcCall& call, Handlers& handlers) : call_(call), handlers_(handlers) {}
  void on_message(std::string_view) override {
    handlers_.answer(call_);
    if (handlers_.random.one_in(4)) handlers_.held.push_back(call_.ref());
  }
  void on_half_close() override { handlers_.answer(call_); }
  void on_cancelled(CancelReason) override { ++handlers_.cancelled; }

 private:
  GrpcCall& call_;
  Handlers& handlers_;
};

std::string block(base::Random& random) {
  const auto literal = [](std::string_view name, std::string_view value) {
    return std::string(1, '\0') + static_cast<char>(name.size()) + std::string(name) + static_cast<char>(value.size()) + std::string(value);
  };
  static const char* const kPaths[] = {"/t.T/Unary", "/t.T/Chat", "/t.T/Stream", "/t.T/None", "x"};
  std::string out = literal(":method", random.one_in(20) ? "GET" : "POST") + literal(":scheme", "http") +
                    literal(":path", kPaths[random.below(5)]) + literal(":authority", "x") +
                    literal("content-type", random.one_in(20) ? "text/html" : "application/grpc");
  if (random.one_in(5)) out += literal("grpc-timeout", random.one_in(2) ? "1m" : "10S");
  if (random.one_in(5)) out += literal("grpc-encoding", random.one_in(3) ? "br" : "gzip");
  if (random.one_in(10)) out += literal("k-bin", "AA");
  if (random.one_in(40)) out += std::string(random.below(30), static_cast<char>(random.one_in(10) ? random.next() : 0x84));
  return out;
}

/// `open`: streams that the client has opened and not ended; mostly one of them is meant.
std::string frame(base::Random& random, std::uint32_t& next_stream, std::vector<std::uint32_t>& open) {
  const bool known = !open.empty() && !random.one_in(100);
  const std::size_t chosen = known ? random.below(open.size()) : 0;
  const std::uint32_t stream = known ? open[chosen] : static_cast<std::uint32_t>(random.below(50));
  const auto ended = [&] {
    if (known) open.erase(open.begin() + static_cast<std::ptrdiff_t>(chosen));
  };
  const auto bytes = [&](std::size_t n) {
    std::string out(n, '\0');
    for (char& c : out) c = static_cast<char>(random.next());
    return out;
  };
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2: {
      const std::uint32_t id = next_stream;
      next_stream += 2;
      const std::string headers = block(random);
      if (random.one_in(6)) return http2_frame(1, 5, id, headers);
      open.push_back(id);
      if (random.one_in(8)) return http2_frame(1, 0, id, headers.substr(0, 10)) + http2_frame(9, 4, id, headers.substr(10));
      return http2_frame(1, 4, id, headers);
    }
    case 3:
    case 4:
    case 5: {
      std::string data;
      for (std::uint64_t i = 0, n = random.below(4); i < n; ++i) {
        const std::string message(random.below(200), 'd');
        data += random.one_in(4) ? grpc_frame(gzip(message), true) : grpc_frame(message);
      }
      if (random.one_in(5)) data = data.substr(0, random.below(data.size() + 1));
      if (random.one_in(10)) data += grpc_frame(std::string(60'000, 'x')).substr(0, random.below(16'000));
      if (!random.one_in(3)) return http2_frame(0, 0, stream, data.substr(0, 16'384));
      ended();
      return http2_frame(0, 1, stream, data.substr(0, 16'384));
    }
    case 6: ended(); return http2_frame(3, 0, stream, std::string("\0\0\0\x8", 4));
    case 7: return http2_frame(8, 0, stream, std::string("\0\1\0\0", 4));
    case 8: return http2_frame(6, random.one_in(2) ? 1 : 0, 0, bytes(8));
    case 9: return http2_frame(4, 0, 0, std::string("\0\4\0\1\0\0", 6));
    case 10: return http2_frame(8, 0, 0, std::string("\0\1\0\0", 4));
    default:
      if (!random.one_in(100)) return http2_frame(2, 0, stream, bytes(5));
      return http2_frame(static_cast<std::uint8_t>(random.below(12)), static_cast<std::uint8_t>(random.next()), stream, bytes(random.below(40)));
  }
}

}  // namespace

TEST_CASE("fuzz: sessions of HTTP/2 survive senseless frames and give every call back") {
  base::ManualClock clock;
  IoThread io(0, clock);
  io.step({});
  ThreadState& thread = io.local<ThreadState>();
  Handlers handlers;
  GrpcServer server;
  const auto unary = [&](CallRef call, std::string_view) {
    if (handlers.random.one_in(3)) {
      handlers.held.push_back(std::move(call));
    } else {
      handlers.answer(*call);
    }
  };
  server.unary("/t.T/Unary", unary);
  server.server_stream("/t.T/Stream", unary);
  server.bidi_stream("/t.T/Chat", [&](GrpcCall& call) { return std::make_unique<FuzzStream>(call, handlers); });
  Limits limits;
  limits.max_receive_message = 100'000;
  limits.keepalive_min_time = 0s;
  limits.keepalive_without_stream = true;
  limits.message_timeout = 1s;
  limits.receive_budget_per_thread = 200'000;
  limits.receive_budget_per_connection = 150'000;
  FakeHost host(io);
  std::size_t answered_bytes = 0;
  int lived = 0;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    CAPTURE(seed);
    base::Random random(seed);
    handlers.random = base::Random(seed + 1'000'000);
    Http2Session session(host, thread, server, limits);
    OutBuffer out(64 * 1024);
    std::string bytes = http2_hello() + http2_frame(8, 0, 0, std::string("\0\x7f\0\0", 4));
    std::uint32_t next_stream = 1;
    std::vector<std::uint32_t> open;
    for (int i = 0; i < 40; ++i) bytes += frame(random, next_stream, open);
    for (std::size_t at = 0; at < bytes.size() && !session.over();) {
      const std::size_t n = std::min<std::size_t>(bytes.size() - at, random.one_in(3) ? 1 + random.below(20) : 1 + random.below(5000));
      session.on_read(std::string_view(bytes).substr(at, n));
      at += n;
      handlers.churn();
      if (random.one_in(3)) {
        out.clear();
        session.fill(out);
        answered_bytes += out.size();
        session.after_fill();
      }
      if (random.one_in(10)) {
        clock.advance(std::chrono::milliseconds(random.below(700)));
        io.step({});
        session.check_time(io.now());
      }
    }
    lived += !session.over();
    if (random.one_in(3)) session.drain();
    if (random.one_in(3)) session.abort(CancelReason::kShutdown);
    out.clear();
    session.fill(out);
    session.after_fill();
    session.abort(CancelReason::kDisconnected);
    handlers.held.clear();
    io.step({});
    REQUIRE(session.open_calls() == 0);
    REQUIRE(thread.open_calls() == 0);
    REQUIRE(thread.receive_budget(limits).used() == 0);
    REQUIRE(thread.waiting_bytes == 0);
  }
  MESSAGE("connections to the end " << lived << ", calls cancelled " << handlers.cancelled << ", bytes answered " << answered_bytes);
  CHECK(lived > 200);  // the frames are not so senseless that nothing behind them is reached
  CHECK(handlers.cancelled > 500);
  CHECK(answered_bytes > 3'000'000);
}

TEST_CASE("fuzz: sessions of HTTP/1 survive senseless requests in pieces") {
  base::ManualClock clock;
  IoThread io(0, clock);
  io.step({});
  ThreadState& thread = io.local<ThreadState>();
  HttpServer server;
  std::vector<HttpExchangePtr> held;
  int answered = 0;
  base::Random random(77);
  server.handle("/", [&](HttpExchangePtr exchange) {
    ++answered;
    if (random.one_in(3)) return held.push_back(std::move(exchange));
    exchange->respond(HttpResponse::text(200, exchange->request().path));
  });
  Limits limits;
  limits.max_http1_header = 500;
  limits.max_http1_body = 200;
  FakeHost host(io);
  const std::vector<std::string> parts = {"GET /a HTTP/1.1\r\n", "POST /b%20 HTTP/1.1\r\n", "Host: x\r\n", "Host: x\r\n", "Content-Length: 3\r\n", "\r\n", "\r\n", "abc",
                                          "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n", "0\r\n\r\n", "Expect: 100-continue\r\n", "X: y\r\n", "HTTP/1.1", "\n", "\0"};
  for (int round = 0; round < 4000; ++round) {
    Http1Session session(host, thread, server, limits);
    OutBuffer out(64 * 1024);
    std::string bytes;
    for (int i = 0; i < 12; ++i) {
      if (random.one_in(3)) bytes += "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
      else bytes += parts[random.below(parts.size())];
      if (random.one_in(10)) bytes.push_back(static_cast<char>(random.next()));
    }
    for (std::size_t at = 0; at < bytes.size() && !session.over();) {
      const std::size_t n = std::min<std::size_t>(bytes.size() - at, 1 + random.below(60));
      if (session.wants_read()) session.on_read(std::string_view(bytes).substr(at, n));
      at += n;
      if (!held.empty() && random.one_in(2)) {
        held.back()->respond(HttpResponse::text(200, "late"));
        held.pop_back();
      }
      out.clear();
      session.fill(out);
      session.after_fill();
    }
    if (random.one_in(2)) session.on_eof();
    if (random.one_in(2)) held.clear();
  }
  held.clear();
  CHECK(answered > 2000);
}
