#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

#include <doctest/doctest.h>

#include <etcdpp/base/random.h>

#include "gzip.h"
#include "test_client.h"
#include "test_server.h"

using namespace etcdpp;
using namespace etcdpp::net;
using namespace std::chrono_literals;

namespace {

void echo(CallRef call, std::string_view message) { call->reply(std::string(message)); }

class EchoStream final : public GrpcStream {
 public:
  explicit EchoStream(GrpcCall& call) : call_(call) {}
  void on_message(std::string_view message) override { call_.send_message("<" + std::string(message) + ">"); }
  void on_half_close() override { call_.finish(StatusCode::kOk, {}); }

 private:
  GrpcCall& call_;
};

std::string random_text(std::size_t size, std::uint64_t seed) {
  base::Random random(seed);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random.next());
  return out;
}

}  // namespace

TEST_CASE("grpc: a unary call has headers, one message and trailers") {
  TestServer server;
  server.grpc.unary("/t.T/Echo", echo);
  server.start();
  TestClient client(server.port());
  const TestResponse& answer = client.call("/t.T/Echo", "hello");
  CHECK(answer.headers.at(":status") == "200");
  CHECK(answer.headers.at("content-type") == "application/grpc");
  CHECK(answer.messages() == std::vector<std::string>{"hello"});
  CHECK(answer.trailers.at("grpc-status") == "0");
  CHECK(answer.error_code == 0);
  CHECK(client.call("/t.T/Echo", "").messages() == std::vector<std::string>{""});
  const TestResponse& subtype = client.wait(client.request_as({{":method", "POST"}, {":scheme", "http"}, {":path", "/t.T/Echo"}, {":authority", "x"}, {"content-type", "application/grpc+proto"}}, grpc_frame("x")));
  CHECK(subtype.headers.at("content-type") == "application/grpc+proto");
  CHECK(subtype.grpc_status() == "0");
}

TEST_CASE("grpc: what an ended stream still says reaches nobody else") {
  // Until its handler is destroyed, a cancelled stream may be written to; its call must not be a new one's by then.
  class Late final : public GrpcStream {
   public:
    explicit Late(GrpcCall& call) : call_(call) {}
    ~Late() override { *alive_ = false; }
    void on_message(std::string_view) override {}
    void on_cancelled(CancelReason) override {
      call_.executor().post([this, alive = alive_] {
        if (*alive) call_.send_message("not for you");
      });
    }

   private:
    GrpcCall& call_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  };
  TestServer server(1);
  std::atomic<int> opened = 0;
  server.grpc.bidi_stream("/t.T/Late", [&](GrpcCall& call) {
    ++opened;
    return std::make_unique<Late>(call);
  });
  server.grpc.unary("/t.T/Echo", [](CallRef call, std::string_view) {
    Executor& home = call->executor();
    home.post([call = std::move(call)] { call->reply("for you"); });
  });
  server.start();
  TestClient client(server.port());
  const auto stream = client.request("/t.T/Late", "", {}, false);
  REQUIRE(eventually([&] { return opened == 1; }));
  client.cork(true);  // the reset and the next call are read together
  client.cancel(stream);
  const auto next = client.request("/t.T/Echo", grpc_frame("x"));
  client.cork(false);
  CHECK(client.wait(next).messages() == std::vector<std::string>{"for you"});
}

TEST_CASE("grpc: messages of any size arrive whole in whatever pieces they are sent") {
  TestServer server;
  server.grpc.unary("/t.T/Echo", echo);
  server.start();
  for (const std::size_t size : {1u, 4u, 100u, 16379u, 16384u, 65530u, 65535u, 70000u, 500000u, 2097152u}) {
    const std::string message = random_text(size, size);
    TestClient client(server.port(), 1u << 24);
    const TestResponse& answer = client.call("/t.T/Echo", message);
    REQUIRE(answer.grpc_status() == "0");
    REQUIRE(answer.messages().size() == 1);
    CHECK(answer.messages()[0] == message);
  }
  base::Random random(3);
  for (int round = 0; round < 30; ++round) {
    TestClient client(server.port());
    const std::string message = random_text(random.below(300) + 1, static_cast<std::uint64_t>(round));
    const std::string body = grpc_frame(message);
    const auto stream = client.request("/t.T/Echo", "", {}, false);
    for (std::size_t at = 0; at < body.size();) {
      const std::size_t n = std::min<std::size_t>(body.size() - at, 1 + random.below(40));
      client.send_data(stream, body.substr(at, n), at + n == body.size());
      at += n;
      if (random.one_in(4)) client.run([] { return false; }, 1);
    }
    const TestResponse& answer = client.wait(stream);
    REQUIRE(answer.grpc_status() == "0");
    CHECK(answer.messages()[0] == message);
  }
}

TEST_CASE("grpc: what etcd says to unknown methods, wrong content types, wrong methods and wrong headers") {
  TestServer server;
  server.grpc.unary("/etcdserverpb.KV/Put", echo);
  server.start();
  TestClient client(server.port());
  const auto status = [&](const std::string& path, const TestHeaders& extra = {}) {
    const TestResponse& answer = client.call(path, "x", extra);
    return answer.headers.at(":status") + " " + answer.grpc_status() + " " + answer.grpc_message();
  };
  CHECK(status("/grpc.reflection.v1.ServerReflection/X") == "200 12 unknown service grpc.reflection.v1.ServerReflection");
  CHECK(status("/etcdserverpb.KV/Nope") == "200 12 unknown method Nope for service etcdserverpb.KV");
  CHECK(status("/etcdserverpb.KV") == "200 12 malformed method name: \"/etcdserverpb.KV\"");
  CHECK(status("//etcdserverpb.KV/Put") == "200 12 unknown service /etcdserverpb.KV");
  CHECK(status("/etcdserverpb.KV/Put", {{"grpc-encoding", "snappy"}}) == "200 12 grpc: Decompressor is not installed for grpc-encoding \"snappy\"");
  CHECK(status("/etcdserverpb.KV/Put", {{"grpc-timeout", "10x"}}) == "400 13 malformed grpc-timeout: transport: timeout unit is not recognized: \"10x\"");
  CHECK(status("/etcdserverpb.KV/Put", {{"x-bin", "!"}}).starts_with("400 13 malformed binary metadata \"!\" in header \"x-bin\""));
  CHECK(status("/etcdserverpb.KV/Put", {{"grpc-timeout", "0S"}}) == "200 4 context deadline exceeded");

  const TestHeaders base_headers = {{":scheme", "http"}, {":path", "/etcdserverpb.KV/Put"}, {":authority", "x"}};
  TestHeaders headers = base_headers;
  headers.insert(headers.begin(), {":method", "GET"});
  headers.emplace_back("content-type", "application/grpc");
  const TestResponse& get = client.wait(client.request_as(headers, ""));
  CHECK(get.headers.at(":status") == "405");
  CHECK(get.grpc_message() == "Received a HEADERS frame with :method \"GET\" which should be POST");
  headers = base_headers;
  headers.insert(headers.begin(), {":method", "POST"});
  headers.emplace_back("content-type", "application/json");
  const TestResponse& json = client.wait(client.request_as(headers, "{}"));
  CHECK(json.headers.at(":status") == "415");
  CHECK(json.grpc_status() == "3");
  CHECK(json.grpc_message() == "invalid gRPC request content-type \"application/json\"");
  CHECK(client.call("/etcdserverpb.KV/Put", "still there").grpc_status() == "0");
}

TEST_CASE("grpc: too large, cut, badly framed and compressed messages") {
  TestServer server;
  server.limits.max_receive_message = 1000;
  server.grpc.unary("/t.T/Echo", echo);
  server.start();
  TestClient client(server.port());
  CHECK(client.call("/t.T/Echo", std::string(1000, 'a')).grpc_status() == "0");
  const TestResponse& large = client.call("/t.T/Echo", std::string(1001, 'a'));
  CHECK(large.grpc_status() == "8");
  CHECK(large.grpc_message() == "grpc: received message larger than max (1001 vs. 1000)");
  // Refused by its prefix, before any of it is there.
  const auto announced = client.request("/t.T/Echo", std::string("\0\xff\xff\xff\xff", 5), {}, false);
  CHECK(client.wait(announced).grpc_message() == "grpc: received message larger than max (4294967295 vs. 1000)");

  const auto body = [&](const std::string& bytes, const TestHeaders& extra = {}) -> std::string {
    const TestResponse& answer = client.wait(client.request("/t.T/Echo", bytes, extra));
    return answer.grpc_status() + " " + answer.grpc_message();
  };
  CHECK(body("") == "2 EOF");
  CHECK(body(std::string("\0\0\0", 3)) == "2 EOF");
  CHECK(body(grpc_frame("hello").substr(0, 8)) == "2 unexpected EOF");
  CHECK(body(std::string("\7\0\0\0\1x", 6)) == "13 grpc: received unexpected payload format 7");
  CHECK(body(grpc_frame("x", true)) == "13 grpc: compressed flag set with identity or empty encoding");
  CHECK(body(grpc_frame("not gzip", true), {{"grpc-encoding", "gzip"}}).starts_with("13 grpc: failed to decompress"));
  const std::string bomb = gzip(std::string(500'000, 'a'));
  REQUIRE(bomb.size() < 1000 * 3);
  CHECK(body(grpc_frame(bomb.substr(0, 999), true), {{"grpc-encoding", "gzip"}}).starts_with("8 grpc: received message after decompression larger than max 1000"));

  const TestResponse& squeezed = client.wait(client.request("/t.T/Echo", grpc_frame(gzip("hello hello"), true), {{"grpc-encoding", "gzip"}}));
  CHECK(squeezed.headers.at("grpc-encoding") == "gzip");
  REQUIRE(squeezed.messages().size() == 1);
  CHECK(squeezed.data[0] == 1);
  std::string plain;
  CHECK(gunzip(squeezed.messages()[0], 1000, plain) == Gunzip::kOk);
  CHECK(plain == "hello hello");
  // With the encoding named but the flag not set, a message is plain.
  CHECK(client.call("/t.T/Echo", "plain", {{"grpc-encoding", "gzip"}}).grpc_status() == "0");
}

TEST_CASE("grpc: metadata, peer and deadline reach the handler") {
  TestServer server;
  std::string seen, binary, peer;
  bool absent = false;
  base::Duration left{};
  server.grpc.unary("/t.T/M", [&](CallRef call, std::string_view) {
    seen = call->metadata("hasleader");
    absent = call->metadata("token").data() == nullptr;
    binary = call->binary_metadata("x-bin").value_or("none");
    peer = call->peer();
    left = *call->deadline() - call->started_at();
    call->finish(StatusCode::kOk);
  });
  server.start();
  TestClient client(server.port());
  CHECK(client.call("/t.T/M", "", {{"hasleader", "true"}, {"x-bin", "AAECAw"}, {"grpc-timeout", "1500m"}}).grpc_status() == "0");
  CHECK(seen == "true");
  CHECK(absent);
  CHECK(binary == std::string("\0\1\2\3", 4));
  CHECK(peer.starts_with("127.0.0.1:"));
  CHECK(left == 1500ms);
}

TEST_CASE("grpc: errors carry their text, percent-encoded, without a message before") {
  TestServer server;
  server.grpc.unary("/t.T/Fail", [](CallRef call, std::string_view) { call->finish(StatusCode::kNotFound, "100% größer\n\xff"); });
  server.grpc.unary("/t.T/Drop", [](CallRef, std::string_view) {});
  server.grpc.unary("/t.T/Late", [](CallRef call, std::string_view) {
    call->send_message("half");
    call->finish(StatusCode::kAborted, "late");
    call->finish(StatusCode::kOk);
    call->send_message("nobody");
  });
  server.start();
  TestClient client(server.port());
  const TestResponse& fail = client.call("/t.T/Fail", "");
  CHECK(fail.headers.at("grpc-status") == "5");
  CHECK(fail.headers.at("grpc-message") == "100%25 gr%C3%B6%C3%9Fer%0A%EF%BF%BD");
  CHECK(fail.trailers.empty());
  CHECK(client.call("/t.T/Drop", "").grpc_status() == "14");
  const TestResponse& late = client.call("/t.T/Late", "");
  CHECK(late.messages() == std::vector<std::string>{"half"});
  CHECK(late.trailers.at("grpc-status") == "10");
}

TEST_CASE("grpc: calls are answered from other threads, many by one closure") {
  TestServer server(1);
  std::mutex mutex;
  std::vector<CallRef> waiting;
  server.grpc.unary("/t.T/Later", [&](CallRef call, std::string_view) {
    std::lock_guard lock(mutex);
    waiting.push_back(std::move(call));
  });
  server.start();
  TestClient client(server.port());
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 100; ++i) streams.push_back(client.request("/t.T/Later", grpc_frame("x")));
  CHECK(eventually([&] {
    std::lock_guard lock(mutex);
    return waiting.size() == 100;
  }));
  std::thread([&] {
    Executor& executor = waiting[0]->executor();
    // One reference is dropped here, in a foreign thread, unanswered.
    waiting.pop_back();
    executor.post([calls = std::move(waiting)]() mutable {
      for (CallRef& call : calls) call->reply("done");
    });
  }).join();
  int answered = 0, dropped = 0;
  for (const auto stream : streams) {
    const TestResponse& answer = client.wait(stream);
    answered += answer.grpc_status() == "0" && answer.messages() == std::vector<std::string>{"done"};
    dropped += answer.grpc_status() == "14";
  }
  CHECK(answered == 99);
  CHECK(dropped == 1);
}

TEST_CASE("grpc: a bidirectional stream echoes, half-closes and takes many messages per frame") {
  TestServer server;
  server.grpc.bidi_stream("/t.T/Chat", [](GrpcCall& call) { return std::make_unique<EchoStream>(call); });
  server.start();
  TestClient client(server.port());
  const auto stream = client.request("/t.T/Chat", grpc_frame("a") + grpc_frame("") + grpc_frame("bc").substr(0, 3), {}, false);
  CHECK(client.run([&] { return client.response(stream).messages().size() == 2; }));
  client.send_data(stream, grpc_frame("bc").substr(3), false);
  CHECK(client.run([&] { return client.response(stream).messages().size() == 3; }));
  client.send_data(stream, "", true);
  const TestResponse& answer = client.wait(stream);
  CHECK(answer.messages() == std::vector<std::string>{"<a>", "<>", "<bc>"});
  CHECK(answer.grpc_status() == "0");
}

namespace {

struct StreamLog {
  std::atomic<int> cancelled = 0;
  std::atomic<int> destroyed = 0;
  std::atomic<int> reason = -1;
  std::atomic<int> messages = 0;
  std::atomic<GrpcCall*> call = nullptr;
};

class LoggingStream final : public GrpcStream {
 public:
  LoggingStream(GrpcCall& call, StreamLog& log) : log_(log) { log_.call = &call; }
  ~LoggingStream() override { ++log_.destroyed; }
  void on_message(std::string_view) override { ++log_.messages; }
  void on_cancelled(CancelReason reason) override {
    log_.reason = static_cast<int>(reason);
    ++log_.cancelled;
  }

 private:
  StreamLog& log_;
};

}  // namespace

TEST_CASE("grpc: streams learn of reset, disconnect, deadline, bad message and shutdown, once each") {
  TestServer server(1);
  StreamLog log;
  server.limits.max_receive_message = 100;
  server.grpc.bidi_stream("/t.T/S", [&](GrpcCall& call) { return std::make_unique<LoggingStream>(call, log); });
  server.start();
  const auto over = [&](int count, CancelReason reason) {
    CHECK(eventually([&] { return log.destroyed == count; }));
    CHECK(log.cancelled == count);
    CHECK(log.reason == static_cast<int>(reason));
  };
  auto client = std::make_unique<TestClient>(server.port());
  auto stream = client->request("/t.T/S", grpc_frame("x"), {}, false);
  CHECK(eventually([&] { return log.messages == 1; }));
  client->cancel(stream);
  over(1, CancelReason::kClientCancelled);

  stream = client->request("/t.T/S", grpc_frame("x"), {}, false);
  CHECK(eventually([&] { return log.messages == 2; }));
  client.reset();
  over(2, CancelReason::kDisconnected);

  client = std::make_unique<TestClient>(server.port());
  stream = client->request("/t.T/S", grpc_frame("x"), {{"grpc-timeout", "30m"}}, false);
  CHECK(client->wait(stream).grpc_status() == "4");
  CHECK(client->response(stream).grpc_message() == "context deadline exceeded");
  over(3, CancelReason::kDeadlineExceeded);

  stream = client->request("/t.T/S", grpc_frame(std::string(200, 'x')), {}, false);
  CHECK(client->wait(stream).grpc_status() == "8");
  over(4, CancelReason::kBadMessage);

  const int before = log.messages;
  stream = client->request("/t.T/S", grpc_frame("x"), {}, false);
  CHECK(eventually([&] { return log.messages == before + 1; }));
  server.listener->stop(0ms);
  CHECK(client->wait(stream).grpc_status() == "14");
  over(5, CancelReason::kShutdown);
}

TEST_CASE("grpc: a unary call past its deadline is answered by the server, late work is dropped") {
  TestServer server(1);
  std::mutex mutex;
  std::vector<CallRef> waiting;
  std::atomic<int> cancelled = 0;
  server.grpc.unary("/t.T/Later", [&](CallRef call, std::string_view) {
    call->set_on_cancelled([&](CancelReason reason) { cancelled += reason == CancelReason::kDeadlineExceeded; });
    std::lock_guard lock(mutex);
    waiting.push_back(std::move(call));
  });
  server.start();
  TestClient client(server.port());
  const auto begin = std::chrono::steady_clock::now();
  const TestResponse& answer = client.call("/t.T/Later", "x", {{"grpc-timeout", "50m"}});
  CHECK(answer.grpc_status() == "4");
  CHECK(std::chrono::steady_clock::now() - begin >= 50ms);
  CHECK(cancelled == 1);
  server.in_thread(0, [&] {
    CHECK(waiting[0]->cancelled());
    waiting[0]->reply("too late");
    waiting.clear();
  });
  CHECK(client.run([] { return false; }, 20) == false);
  CHECK(answer.messages().empty());
}

namespace {

/// Counts up; sometimes has nothing for a while.
class CountingProducer final : public MessageProducer {
 public:
  CountingProducer(std::uint64_t length, bool pauses, std::atomic<std::uint64_t>& made) : length_(length), pauses_(pauses), made_(made) {}
  base::Result<std::size_t> produce(char* out, std::size_t room) override {
    if (pauses_ && ++asked_ % 3 == 0) return 0;
    for (std::size_t i = 0; i < room; ++i) out[i] = static_cast<char>((at_ + i) * 31 >> 3);
    at_ += room;
    made_ = at_;
    CHECK(at_ <= length_);
    return room;
  }
  static bool right(std::string_view message) {
    for (std::size_t i = 0; i < message.size(); ++i) {
      if (message[i] != static_cast<char>(i * 31 >> 3)) return false;
    }
    return true;
  }

 private:
  const std::uint64_t length_;
  const bool pauses_;
  std::atomic<std::uint64_t>& made_;
  std::uint64_t at_ = 0;
  unsigned asked_ = 0;
};

class FailingProducer final : public MessageProducer {
 public:
  base::Result<std::size_t> produce(char* out, std::size_t room) override {
    if (asked_++ > 0) return base::errno_error(5, "disk");
    *out = 'x';
    return std::min<std::size_t>(room, 1);
  }
  int asked_ = 0;
};

}  // namespace

TEST_CASE("grpc: large answers are made piece by piece under the client's windows") {
  TestServer server(1);
  constexpr std::uint64_t kLength = 5'000'000;
  std::atomic<std::uint64_t> made = 0;
  CallRef held;
  server.grpc.unary("/t.T/Large", [&](CallRef call, std::string_view) {
    call->send_large(kLength, std::make_unique<CountingProducer>(kLength, false, made));
    call->finish(StatusCode::kOk);
  });
  server.grpc.unary("/t.T/Pausing", [&](CallRef call, std::string_view) {
    call->send_message("first");
    call->send_large(kLength, std::make_unique<CountingProducer>(kLength, true, made));
    call->finish(StatusCode::kOk);
    held = std::move(call);
  });
  server.grpc.unary("/t.T/Failing", [&](CallRef call, std::string_view) {
    call->send_large(1000, std::make_unique<FailingProducer>());
    call->finish(StatusCode::kOk);
  });
  server.start();
  {
    TestClient client(server.port(), 0, false);
    const auto stream = client.request("/t.T/Large", grpc_frame(""));
    client.run([&] { return client.response(stream).data.size() >= 65535; });
    client.run([] { return false; }, 50);
    CHECK(client.response(stream).data.size() == 65535);
    CHECK(made == 65530);  // nothing is made that the client has no window for
    while (!client.response(stream).closed && !client.disconnected()) {
      client.open_window(stream, 200'000);
      const std::size_t before = client.response(stream).data.size();
      client.run([&] { return client.response(stream).closed || client.response(stream).data.size() >= before + 100'000; }, 500);
    }
    REQUIRE(client.response(stream).messages().size() == 1);
    CHECK(client.response(stream).messages()[0].size() == kLength);
    CHECK(CountingProducer::right(client.response(stream).messages()[0]));
    CHECK(client.response(stream).grpc_status() == "0");
  }
  {
    TestClient client(server.port(), 1u << 20);
    const auto stream = client.request("/t.T/Pausing", grpc_frame(""));
    client.run([&] {
      server.io[0].post([&] {
        if (held) held->resume_producer();
      });
      return client.response(stream).closed;
    });
    REQUIRE(client.response(stream).messages().size() == 2);
    CHECK(client.response(stream).messages()[0] == "first");
    CHECK(CountingProducer::right(client.response(stream).messages()[1]));
    server.in_thread(0, [&] { held.reset(); });
    CHECK(client.wait(client.request("/t.T/Failing", grpc_frame(""))).error_code == 2);  // INTERNAL_ERROR
  }
}

TEST_CASE("grpc: pieces that are shared go out in order, and room is reported") {
  TestServer server(1);
  std::atomic<int> rounds = 0;
  std::atomic<std::size_t> most = 0;
  server.grpc.server_stream("/t.T/Watch", [&](CallRef call, std::string_view) {
    // Sends whenever there is less than 100 kB waiting, 40 times.
    auto shared = std::make_shared<base::SharedBytes>(std::string_view(std::string(50'000, 's')));
    auto send = std::make_shared<std::function<void()>>();
    auto kept = std::make_shared<CallRef>(std::move(call));
    *send = [&, shared, kept] {
      while ((*kept)->pending_send_bytes() < 100'000 && rounds < 40) {
        ++rounds;
        (*kept)->send_message("head", {*shared, base::SharedBytes(std::string_view("-")), *shared});
        most = std::max<std::size_t>(most, (*kept)->pending_send_bytes());
      }
      if (rounds == 40) {
        (*kept)->finish(StatusCode::kOk, {});
        kept->reset();
      }
    };
    (*kept)->set_on_writable(50'000, [send] { (*send)(); });
    (*send)();
  });
  server.start();
  TestClient client(server.port());
  const TestResponse& answer = client.wait(client.request("/t.T/Watch", grpc_frame("")));
  CHECK(answer.grpc_status() == "0");
  const auto messages = answer.messages();
  REQUIRE(messages.size() == 40);
  const std::string s(50'000, 's');
  for (const std::string& message : messages) CHECK(message == "head" + s + "-" + s);
  CHECK(most < 300'000);
}

TEST_CASE("grpc: a client that asks and does not read is held by its windows") {
  TestServer server(1);
  StreamLog log;
  struct Flooder final : GrpcStream {
    GrpcCall& call;
    StreamLog& log;
    Flooder(GrpcCall& c, StreamLog& l) : call(c), log(l) {}
    void on_message(std::string_view) override {
      ++log.messages;
      call.send_message(std::string(10'000, 'a'));
    }
    void on_half_close() override { call.finish(StatusCode::kOk, {}); }
  };
  server.grpc.bidi_stream("/t.T/F", [&](GrpcCall& call) { return std::make_unique<Flooder>(call, log); });
  server.start();
  TestClient client(server.port(), 0, false);
  std::string questions;
  for (int i = 0; i < 2000; ++i) questions += grpc_frame(std::string(100, 'q'));
  const auto stream = client.request("/t.T/F", questions, {}, true);
  client.run([] { return false; }, 200);
  CHECK(log.messages >= 20);
  CHECK(log.messages < 60);  // 256 kB of answers wait, and no more
  while (!client.response(stream).closed && !client.disconnected()) {
    client.open_window(stream, 1'000'000);
    const std::size_t before = client.response(stream).data.size();
    client.run([&] { return client.response(stream).closed || client.response(stream).data.size() > before + 500'000; }, 300);
  }
  CHECK(log.messages == 2000);
  CHECK(client.response(stream).messages().size() == 2000);
  CHECK(client.response(stream).grpc_status() == "0");
}

TEST_CASE("grpc: pausing a call and pausing a thread hold what clients send") {
  TestServer server(1);
  StreamLog log;
  server.grpc.bidi_stream("/t.T/S", [&](GrpcCall& call) { return std::make_unique<LoggingStream>(call, log); });
  server.grpc.unary("/t.T/Echo", echo);
  server.start();
  TestClient client(server.port());
  const auto stream = client.request("/t.T/S", grpc_frame("1"), {}, false);
  CHECK(eventually([&] { return log.messages == 1; }));
  server.in_thread(0, [&] { log.call.load()->pause_receiving(true); });
  std::string many;
  for (int i = 0; i < 5000; ++i) many += grpc_frame(std::string(100, 'm'));
  client.send_data(stream, many, false);
  CHECK(client.call("/t.T/Echo", "others go on").grpc_status() == "0");
  CHECK(log.messages == 1);
  server.in_thread(0, [&] { log.call.load()->pause_receiving(false); });
  CHECK(client.run([&] { return log.messages == 5001; }));

  server.io.pause_reading();
  server.in_thread(0, [] {});
  const auto held = client.request("/t.T/Echo", grpc_frame("x"));
  CHECK(!client.run([&] { return client.response(held).closed; }, 50));
  TestClient late(server.port());
  const auto late_stream = late.request("/t.T/Echo", grpc_frame("x"));
  CHECK(!late.run([&] { return late.response(late_stream).closed; }, 20));
  server.io.resume_reading();
  CHECK(client.wait(held).grpc_status() == "0");
  CHECK(late.wait(late_stream).grpc_status() == "0");
}

TEST_CASE("grpc: interceptors decide before handlers, observers count") {
  struct Counter final : GrpcObserver {
    std::atomic<int> started = 0, received = 0, sent = 0;
    std::mutex mutex;
    std::string handled;
    void on_started(const GrpcMethod&, unsigned) override { ++started; }
    void on_handled(const GrpcMethod& method, StatusCode code, base::Duration, unsigned) override {
      std::lock_guard lock(mutex);
      handled += method.name + "=" + std::string(status_code_name(code)) + " ";
    }
    void on_received(const GrpcMethod&, std::size_t size, unsigned) override { received += static_cast<int>(size); }
    void on_sent(const GrpcMethod&, std::size_t size, unsigned) override { sent += static_cast<int>(size); }
  } counter;
  TestServer server(1);
  server.grpc.unary("/t.T/Echo", echo);
  server.grpc.bidi_stream("/t.T/Chat", [](GrpcCall& call) { return std::make_unique<EchoStream>(call); });
  server.grpc.set_observer(&counter);
  server.grpc.add_interceptor([](GrpcCall& call) {
    return call.metadata("hasleader") == "true" ? Status{StatusCode::kUnavailable, "etcdserver: no leader"} : Status{};
  });
  server.start();
  TestClient client(server.port());
  CHECK(client.call("/t.T/Echo", "12345").grpc_status() == "0");
  CHECK(client.call("/t.T/Echo", "12345", {{"hasleader", "true"}}).grpc_message() == "etcdserver: no leader");
  CHECK(client.call("/t.T/Chat", "x", {{"hasleader", "true"}}).grpc_status() == "14");
  CHECK(client.call("/t.T/Chat", "x").grpc_status() == "0");
  CHECK(counter.started == 4);
  CHECK(counter.received == 5 + 5 + 1);
  CHECK(counter.sent == 5 + 3);
  std::lock_guard lock(counter.mutex);
  CHECK(counter.handled == "Echo=OK Echo=Unavailable Chat=Unavailable Chat=OK ");
}

TEST_CASE("grpc: draining lets open calls end, refuses new ones and closes") {
  TestServer server(1);
  CallRef held;
  std::atomic<bool> have = false;
  server.grpc.unary("/t.T/Later", [&](CallRef call, std::string_view) {
    held = std::move(call);
    have = true;
  });
  server.start();
  TestClient client(server.port());
  const auto stream = client.request("/t.T/Later", grpc_frame("x"));
  CHECK(eventually([&] { return have.load(); }));
  const std::uint16_t port = server.port();
  server.listener->drain();
  CHECK(client.run([&] { return client.goaway(); }));
  CHECK(client.goaway_code() == 0);
  CHECK(!client.run([&] { return client.disconnected(); }, 50));
  server.in_thread(0, [&] { std::exchange(held, {})->reply("last"); });
  CHECK(client.wait(stream).messages() == std::vector<std::string>{"last"});
  CHECK(client.run([&] { return client.disconnected(); }));
  server.listener->stop(1s);
  CHECK(server.listener->stats().open_connections == 0);
  // The port is free again.
  auto again = Listener::open("http://127.0.0.1:" + std::to_string(port), server.io, {}, {}, base::null_logger());
  CHECK(again);
}

TEST_CASE("listener: unix sockets, ports in use, bad addresses and the limit of connections") {
  TestServer server(2);
  server.grpc.unary("/t.T/Echo", echo);
  server.limits.max_connections = 3;
  const std::string path = std::filesystem::temp_directory_path() / ("etcdpp-net-test-" + base::hex(base::random_seed()) + ":1");
  server.start("unix://" + path);
  {
    TestClient client{TestSocket(path)};
    CHECK(client.call("/t.T/Echo", "x").grpc_status() == "0");
  }
  CHECK(eventually([&] { return server.listener->stats().open_connections == 0; }));
  {
    std::vector<std::unique_ptr<TestClient>> clients;
    for (int i = 0; i < 3; ++i) {
      clients.push_back(std::make_unique<TestClient>(TestSocket(path)));
      CHECK(clients.back()->call("/t.T/Echo", "x").grpc_status() == "0");
    }
    TestClient fourth{TestSocket(path)};
    const auto stream = fourth.request("/t.T/Echo", grpc_frame("x"));
    CHECK(!fourth.run([&] { return fourth.response(stream).closed; }, 50));
    clients.pop_back();
    CHECK(fourth.wait(stream).grpc_status() == "0");
  }
  auto tcp = Listener::open("http://127.0.0.1:0", server.io, {&server.grpc, nullptr}, {}, base::null_logger());
  REQUIRE(tcp);
  auto taken = Listener::open("http://" + (*tcp)->address(), server.io, {}, {}, base::null_logger());
  REQUIRE(!taken);
  CHECK(taken.error().message().find("Address already in use") != std::string::npos);
  CHECK(taken.error().message().find((*tcp)->address()) != std::string::npos);
  for (const char* bad : {"127.0.0.1:1", "ftp://127.0.0.1:1", "http://127.0.0.1", "http://example.com:80", "http://127.0.0.1:70000", "unix://", "https://127.0.0.1:0"}) {
    CAPTURE(bad);
    CHECK(!Listener::open(bad, server.io, {}, {}, base::null_logger()));
  }
  server.stop();
  CHECK(::access(path.c_str(), F_OK) != 0);
}
