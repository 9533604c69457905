#include <sys/socket.h>

#include <atomic>
#include <thread>

#include <doctest/doctest.h>

#include <etcdpp/base/random.h>

#include "test_client.h"
#include "test_server.h"

using namespace etcdpp;
using namespace etcdpp::net;
using namespace std::chrono_literals;

// What a peer may do that nobody should: each case ends with the server alive, the connection gone or calm, and another
// client served.

namespace {

constexpr std::uint32_t kEnhanceYourCalm = 11;

struct HostileServer : TestServer {
  HostileServer() : TestServer(1) {
    limits.preface_timeout = 200ms;
    limits.header_timeout = 300ms;
    limits.idle_http1_timeout = 300ms;
    limits.message_timeout = 300ms;
    limits.write_timeout = 400ms;
    grpc.unary("/t.T/Echo", [](CallRef call, std::string_view message) { call->reply(std::string(message)); });
    grpc.unary("/t.T/Big", [](CallRef call, std::string_view) { call->reply(std::string(8 << 20, 'b')); });
    grpc.bidi_stream("/t.T/Chat", [](GrpcCall& call) {
      struct Chat final : GrpcStream {
        explicit Chat(GrpcCall& c) : call(c) {}
        void on_message(std::string_view m) override { call.send_message(std::string(m)); }
        void on_half_close() override { call.finish(StatusCode::kOk, {}); }
        GrpcCall& call;
      };
      return std::make_unique<Chat>(call);
    });
    http.handle("/health", [](HttpExchangePtr exchange) { exchange->respond(HttpResponse::json(200, "{}")); });
  }
  void check_alive() {
    TestClient client(port());
    CHECK(client.call("/t.T/Echo", "alive").messages() == std::vector<std::string>{"alive"});
  }
  bool all_gone() {
    return eventually([&] { return listener->stats().open_connections == 0; });
  }
};

std::uint32_t be32(std::string_view bytes) {
  std::uint32_t out = 0;
  for (const char c : bytes.substr(0, 4)) out = out << 8 | static_cast<unsigned char>(c);
  return out;
}

/// The code of the GOAWAY among the frames, or "none".
std::string goaway_of(std::string_view bytes) {
  for (const RawFrame& frame : split_frames(bytes)) {
    if (frame.type == 7 && frame.payload.size() >= 8) return std::to_string(be32(std::string_view(frame.payload).substr(4))) + frame.payload.substr(8);
  }
  return "none";
}

/// A HEADERS block without Huffman or index: name and value literally.
std::string literal(std::string_view name, std::string_view value) {
  const auto length = [](std::size_t n) {
    std::string out;
    if (n < 127) return std::string(1, static_cast<char>(n));
    out.push_back(127);
    for (n -= 127; n >= 128; n >>= 7) out.push_back(static_cast<char>(n % 128 + 128));
    out.push_back(static_cast<char>(n));
    return out;
  };
  std::string out(1, '\0');
  return out.append(length(name.size())).append(name).append(length(value.size())).append(value);
}

std::string request_block(std::string_view path = "/t.T/Echo") {
  return literal(":method", "POST") + literal(":scheme", "http") + literal(":path", path) + literal(":authority", "x") +
         literal("content-type", "application/grpc") + literal("te", "trailers");
}

}  // namespace

TEST_CASE("hostile: silence, half a preface and half a request are timed out") {
  HostileServer server;
  server.start();
  TestSocket silent(server.port()), half(server.port()), http(server.port()), slow(server.port());
  half.send("PRI * HTT");
  http.send("GET /health HTT");
  slow.send("GET / HTTP/1.1\r\nHost: x\r\nA: ");
  for (TestSocket* socket : {&silent, &half, &http, &slow}) {
    CHECK(socket->receive_all(3000).empty());
    CHECK(socket->ended());
  }
  CHECK(server.all_gone());
  server.check_alive();
}

TEST_CASE("hostile: garbage is answered or dropped, never swallowed for ever") {
  HostileServer server;
  server.start();
  base::Random random(5);
  for (int i = 0; i < 60; ++i) {
    TestSocket socket(server.port());
    std::string bytes(random.below(2000) + 1, '\0');
    for (char& c : bytes) c = static_cast<char>(random.next());
    if (i % 3 == 0) bytes.insert(0, http2_hello());
    if (i % 3 == 1) bytes.insert(0, "GET /health HTTP/1.1\r\n");
    socket.send(bytes);
    if (i % 2 == 0) socket.shutdown_write();
  }
  CHECK(server.all_gone());
  server.check_alive();
}

TEST_CASE("hostile: every cut of a good conversation leaves the server alone") {
  HostileServer server;
  server.start();
  const std::string all = http2_hello() + http2_frame(1, 4, 1, request_block()) + http2_frame(0, 1, 1, grpc_frame("hello"));
  for (std::size_t cut = 0; cut < all.size(); cut += 3) {
    TestSocket socket(server.port());
    socket.send(std::string_view(all).substr(0, cut));
  }
  {
    TestSocket socket(server.port());
    for (const char c : all) socket.send(std::string_view(&c, 1));
    std::string got;
    while (got.find("hello") == std::string::npos && !socket.ended()) got += socket.receive(1000);
    CHECK(got.find("hello") != std::string::npos);
  }
  CHECK(server.all_gone());
  server.check_alive();
}

TEST_CASE("hostile: a PING for all data that came is no flood") {
  HostileServer server;
  server.limits.control_burst = 50;
  server.limits.control_per_second = 1;
  server.start();
  TestClient client(server.port(), 0, false);
  const std::int32_t stream = client.request("/t.T/Big", grpc_frame("x"));
  for (unsigned i = 1; i <= 300; ++i) {
    const std::size_t before = client.response(stream).data.size();
    client.open_window(stream, 4096);
    REQUIRE(client.run([&] { return client.response(stream).data.size() > before || client.goaway(); }));
    client.ping();
    REQUIRE(client.run([&] { return client.ping_answers() >= i || client.goaway(); }));
    REQUIRE(client.goaway_text() == "");
  }
}

TEST_CASE("hostile: floods of PING, SETTINGS, PRIORITY and empty DATA meet GOAWAY") {
  HostileServer server;
  server.limits.control_burst = 300;
  server.limits.control_per_second = 10;
  server.limits.keepalive_min_time = 0s;  // so that it is the flood that is punished
  server.limits.keepalive_without_stream = true;
  server.start();
  const std::string ping = http2_frame(6, 0, 0, "12345678");
  const std::string settings = http2_frame(4, 0, 0, std::string("\0\4\0\0\xff\xff", 6));
  const std::string priority = http2_frame(2, 0, 1, std::string("\0\0\0\0\x10", 5));
  const std::string empty_data = http2_frame(0, 0, 1, "");
  for (const std::string& frame : {ping, settings, priority, empty_data}) {
    TestSocket socket(server.port());
    std::string bytes = http2_hello();
    if (frame == empty_data) bytes += http2_frame(1, 4, 1, request_block());
    for (int i = 0; i < 2000; ++i) bytes += frame;
    socket.send(bytes);
    CHECK(goaway_of(socket.receive_all(3000)) == "11too_many_control_frames");
    CHECK(socket.ended());
  }
  server.check_alive();
}

TEST_CASE("hostile: rapid reset, and streams that make the server reset, meet GOAWAY") {
  HostileServer server;
  server.limits.reset_burst = 200;
  server.limits.resets_per_second = 10;
  server.start();
  {
    TestSocket socket(server.port());
    std::string bytes = http2_hello();
    for (std::uint32_t i = 0; i < 2000; ++i) {
      bytes += http2_frame(1, 4, 1 + 2 * i, request_block()) + http2_frame(3, 0, 1 + 2 * i, std::string("\0\0\0\x8", 4));
    }
    socket.send(bytes);
    CHECK(goaway_of(socket.receive_all(3000)).starts_with("11"));
    CHECK(socket.ended());
  }
  {
    // A window that overflows is the client's fault and the server's reset.
    TestSocket socket(server.port());
    std::string bytes = http2_hello();
    for (std::uint32_t i = 0; i < 2000; ++i) {
      bytes += http2_frame(1, 4, 1 + 2 * i, request_block()) + http2_frame(8, 0, 1 + 2 * i, "\x7f\xff\xff\xff");
    }
    std::thread writer([&] { socket.send(bytes); });
    const std::string got = socket.receive_all(3000);
    writer.join();
    CHECK(goaway_of(got).starts_with("11"));
    CHECK(socket.ended());
  }
  server.check_alive();
}

TEST_CASE("hostile: header blocks without end, too large or exploding") {
  HostileServer server;
  server.limits.max_header_list = 4000;
  server.start();
  {
    // CONTINUATION for ever.
    TestSocket socket(server.port());
    std::string bytes = http2_hello() + http2_frame(1, 0, 1, request_block());
    for (int i = 0; i < 3000; ++i) bytes += http2_frame(9, 0, 1, literal("a", std::string(50, 'x')));
    std::thread writer([&] { socket.send(bytes); });
    socket.receive_all(3000);
    writer.join();
    CHECK(socket.ended());
  }
  {
    // A little too much is answered.
    TestClient client(server.port());
    const TestResponse& answer = client.call("/t.T/Echo", "x", {{"x", std::string(5000, 'h')}});
    CHECK(answer.grpc_status() == "8");
    CHECK(client.call("/t.T/Echo", "x").grpc_status() == "0");
  }
  {
    // One entry in the table, repeated by one byte each: 16 kB of frame become 60 MB of headers.
    TestSocket socket(server.port());
    const std::string entry = std::string("\x40", 1) + literal("k", std::string(3900, 'v')).substr(1);
    std::string bytes = http2_hello() + http2_frame(1, 4 | 1, 1, request_block() + entry + std::string(15'000 - 4200, '\xbe'));
    socket.send(bytes);
    CHECK(goaway_of(socket.receive_all(3000)).starts_with("11"));
    CHECK(socket.ended());
  }
  server.check_alive();
}

TEST_CASE("hostile: a client that pings too often is told to calm down, etcd's way") {
  HostileServer server;
  server.start();
  {
    TestClient client(server.port());
    CHECK(client.call("/t.T/Echo", "x").grpc_status() == "0");
    for (int i = 0; i < 10 && !client.goaway(); ++i) {
      client.ping();
      client.run([&] { return client.goaway() || client.ping_answers() == static_cast<unsigned>(i + 1); });
    }
    CHECK(client.goaway_code() == kEnhanceYourCalm);
    CHECK(client.goaway_text() == "too_many_pings");
    CHECK(client.ping_answers() >= 3);
    CHECK(client.run([&] { return client.disconnected(); }));
  }
  {
    // Pings between answers are forgiven.
    TestClient client(server.port());
    for (int i = 0; i < 10; ++i) {
      CHECK(client.call("/t.T/Echo", "x").grpc_status() == "0");
      client.ping();
    }
    CHECK(client.call("/t.T/Echo", "x").grpc_status() == "0");
    CHECK(!client.goaway());
  }
}

TEST_CASE("hostile: a peer that answers no keep-alive ping is closed, one that does stays") {
  HostileServer server;
  server.limits.keepalive_interval = 100ms;
  server.limits.keepalive_timeout = 150ms;
  server.start();
  TestSocket deaf(server.port());
  deaf.send(http2_hello());
  TestClient well(server.port());
  well.run([&] { return well.pings_received() >= 3; });
  CHECK(well.pings_received() >= 3);
  CHECK(!well.disconnected());
  deaf.receive_all(3000);
  CHECK(deaf.ended());
}

TEST_CASE("hostile: calls whose message never comes, or comes in drops, are ended") {
  HostileServer server;
  server.start();
  TestClient client(server.port());
  const auto none = client.request("/t.T/Echo", "", {}, false);
  const auto part = client.request("/t.T/Echo", grpc_frame(std::string(100'000, 'x')).substr(0, 50), {}, false);
  const auto chat = client.request("/t.T/Chat", grpc_frame("whole") + grpc_frame("half").substr(0, 6), {}, false);
  const auto idle = client.request("/t.T/Chat", grpc_frame("whole"), {}, false);
  CHECK(client.wait(none).grpc_status() == "4");
  CHECK(client.wait(part).grpc_status() == "4");
  CHECK(client.wait(chat).grpc_status() == "4");
  CHECK(!client.run([&] { return client.response(idle).closed; }, 400));
  CHECK(client.response(idle).messages() == std::vector<std::string>{"whole"});
  client.send_data(idle, "", true);
  CHECK(client.wait(idle).grpc_status() == "0");
}

TEST_CASE("hostile: who does not read answers is given up, at the stream and at the socket") {
  HostileServer server;
  server.start();
  {
    TestClient client(server.port(), 0, false);
    const auto stuck = client.request("/t.T/Big", grpc_frame(""));
    client.wait(stuck, 3000);
    CHECK(client.response(stuck).closed);
    CHECK(client.response(stuck).error_code == 8);
  }
  {
    TestSocket socket(server.port(), 4096);
    std::string bytes = http2_hello() + http2_frame(8, 0, 0, "\x7f\x00\x00\x00") ;
    bytes = http2_hello().substr(0, 24) + http2_frame(4, 0, 0, std::string("\0\4\x7f\xff\xff\xff", 6)) + http2_frame(8, 0, 0, std::string("\x70\0\0\0", 4));
    for (std::uint32_t i = 0; i < 20; ++i) bytes += http2_frame(1, 4, 1 + 2 * i, request_block("/t.T/Big")) + http2_frame(0, 1, 1 + 2 * i, grpc_frame(""));
    socket.send(bytes);
    CHECK(server.all_gone());
  }
  server.check_alive();
}

TEST_CASE("hostile: many large messages at once share a budget and all arrive") {
  HostileServer server;
  server.limits.message_timeout = 20s;
  server.limits.receive_budget_per_thread = 3u << 20;
  server.limits.receive_budget_per_connection = 2500'000;
  server.start();
  std::vector<std::unique_ptr<TestClient>> clients;
  std::vector<std::pair<TestClient*, std::int32_t>> calls;
  const std::string body = grpc_frame(std::string(1'000'000, 'x'));
  for (int c = 0; c < 4; ++c) {
    clients.push_back(std::make_unique<TestClient>(server.port(), 1u << 22));
    for (int i = 0; i < 5; ++i) calls.emplace_back(clients.back().get(), clients.back()->request("/t.T/Echo", body));
  }
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (auto& client : clients) {
    threads.emplace_back([&, c = client.get()] {
      for (const auto& [owner, stream] : calls) {
        if (owner == c && c->wait(stream, 20'000).messages().size() == 1) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 20);
}

TEST_CASE("hostile: stubborn halves of large messages are bounded and do not starve others") {
  HostileServer server;
  server.limits.message_timeout = 20s;
  server.limits.receive_budget_per_thread = 4u << 20;
  server.limits.receive_budget_per_connection = 4u << 20;
  server.start();
  TestClient hog(server.port());
  std::string part = grpc_frame(std::string(2'000'000, 'x')).substr(0, 60'000);
  int refused = 0;
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 100; ++i) streams.push_back(hog.request("/t.T/Echo", part, {}, false));
  hog.run([&] {
    refused = 0;
    for (const auto stream : streams) refused += hog.response(stream).closed && hog.response(stream).error_code == 7;
    return refused > 50;
  }, 3000);
  CHECK(refused > 50);
  // Small messages, and those that fit a window, still pass on other connections.
  TestClient other(server.port());
  CHECK(other.call("/t.T/Echo", std::string(60'000, 'y')).grpc_status() == "0");
}

TEST_CASE("hostile: more calls than allowed are refused, not queued") {
  HostileServer server;
  server.limits.max_calls_per_connection = 10;
  server.limits.message_timeout = 20s;
  server.start();
  TestClient client(server.port());
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 20; ++i) streams.push_back(client.request("/t.T/Echo", "", {}, false));
  client.run([&] { return client.response(streams.back()).closed; });
  int refused = 0;
  for (const auto stream : streams) refused += client.response(stream).closed && client.response(stream).error_code == 7;
  CHECK(refused == 10);
  client.send_data(streams[0], grpc_frame("x"), true);
  CHECK(client.wait(streams[0]).grpc_status() == "0");
}

TEST_CASE("hostile: the announced number of streams holds also for who ignores it") {
  HostileServer server;
  server.limits.max_concurrent_streams = 5;
  server.limits.message_timeout = 20s;
  server.start();
  std::string bytes;
  for (std::uint32_t i = 0; i < 12; ++i) bytes += http2_frame(1, 4, 1 + 2 * i, request_block());
  {
    // Streams opened before the settings arrived are refused, so that the client may retry them.
    TestSocket socket(server.port());
    socket.send(http2_hello() + bytes);
    std::string got;
    const auto refused = [&] {
      int n = 0;
      for (const RawFrame& frame : split_frames(got)) n += frame.type == 3 && be32(frame.payload) == 7;
      return n;
    };
    for (int i = 0; i < 30 && refused() < 7; ++i) got += socket.receive(100);
    CHECK(refused() == 7);
  }
  {
    // Having acknowledged them, it is an error.
    TestSocket socket(server.port());
    socket.send(http2_hello() + http2_frame(4, 1, 0, {}));
    socket.receive(2000);
    socket.send(bytes);
    CHECK(goaway_of(socket.receive_all(3000)) != "none");
    CHECK(socket.ended());
  }
}

TEST_CASE("hostile: cancelled calls whose handler still runs count as open") {
  HostileServer server;
  server.limits.max_calls_per_connection = 10;
  std::vector<CallRef> held;
  server.grpc.unary("/t.T/Hold", [&](CallRef call, std::string_view) { held.push_back(std::move(call)); });
  server.start();
  TestClient client(server.port());
  for (int i = 0; i < 10; ++i) {
    const auto stream = client.request("/t.T/Hold", grpc_frame("x"));
    client.cancel(stream);
  }
  CHECK(client.wait(client.request("/t.T/Echo", grpc_frame("x"))).error_code == 7);
  server.in_thread(0, [&] { held.clear(); });
  CHECK(client.call("/t.T/Echo", "x").grpc_status() == "0");
}

TEST_CASE("hostile: mutated frames never crash a session") {
  HostileServer server;
  server.limits.message_timeout = 100ms;
  server.limits.preface_timeout = 100ms;
  server.start();
  const std::string seed = http2_hello() + http2_frame(1, 4, 1, request_block()) + http2_frame(0, 1, 1, grpc_frame("hello")) +
                           http2_frame(1, 4, 3, request_block("/t.T/Chat")) + http2_frame(0, 0, 3, grpc_frame("a") + grpc_frame("b")) +
                           http2_frame(8, 0, 0, std::string("\0\0\1\0", 4)) + http2_frame(6, 0, 0, "12345678") +
                           http2_frame(3, 0, 1, std::string("\0\0\0\x8", 4)) + http2_frame(0, 1, 3, "") +
                           http2_frame(1, 5, 5, request_block("/x/Y") + literal("grpc-timeout", "1S") + literal("a-bin", "AAA")) +
                           http2_frame(9, 4, 5, "") + http2_frame(7, 0, 0, std::string(8, '\0'));
  base::Random random(20240607);
  for (int round = 0; round < 1500; ++round) {
    std::string bytes = seed;
    const auto mutations = 1 + random.below(6);
    for (std::uint64_t i = 0; i < mutations; ++i) {
      const std::size_t at = 24 + random.below(bytes.size() - 24);
      switch (random.below(4)) {
        case 0: bytes[at] = static_cast<char>(random.next()); break;
        case 1: bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8))); break;
        case 2: bytes.erase(at, random.below(20)); break;
        default: bytes.insert(at, bytes.substr(24 + random.below(bytes.size() - 24), random.below(40))); break;
      }
    }
    TestSocket socket(server.port());
    socket.send(bytes);
    if (round % 50 == 0) socket.receive(5);
  }
  CHECK(server.all_gone());
  server.check_alive();
}
