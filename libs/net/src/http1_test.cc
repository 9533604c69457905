#include <atomic>
#include <mutex>

#include <doctest/doctest.h>

#include <etcdpp/base/random.h>

#include "test_client.h"
#include "test_server.h"

using namespace etcdpp;
using namespace etcdpp::net;
using namespace std::chrono_literals;

namespace {

struct HttpFixture : TestServer {
  HttpFixture() : TestServer(1) {
    grpc.unary("/t.T/Echo", [](CallRef call, std::string_view message) { call->reply(std::string(message)); });
    http.handle("/echo", [](HttpExchangePtr exchange) {
      const HttpRequest& request = exchange->request();
      std::string body = request.method + " " + request.path + " " + request.query + " " + std::string(request.header("x-test")) + " " + request.body;
      exchange->respond(HttpResponse::text(200, std::move(body)));
    });
    http.handle("/tree/", [](HttpExchangePtr exchange) { exchange->respond(HttpResponse::text(200, "tree " + exchange->request().path)); });
    http.handle("/later", [this](HttpExchangePtr exchange) {
      std::lock_guard lock(mutex);
      held.push_back(std::move(exchange));
    });
    http.handle("/drop", [](HttpExchangePtr) {});
    http.handle("/stream", [](HttpExchangePtr exchange) {
      exchange->begin(200, {{"Content-Type", "text/plain"}});
      exchange->write("one");
      exchange->write("");
      exchange->write(std::string(20, '2'));
      exchange->end();
    });
    http.add_common_header("Access-Control-Allow-Origin", "*");
    limits.max_http1_header = 2000;
    limits.max_http1_body = 5000;
    start();
  }
  /// Sends, and everything that comes until the server closes or is quiet for a while.
  std::string ask(const std::string& bytes, bool until_close = false) {
    TestSocket socket(port());
    socket.send(bytes);
    if (until_close) {
      std::string got = socket.receive_all(5000);
      CHECK(socket.ended());
      return got;
    }
    std::string got = socket.receive(5000);
    for (std::string more; !(more = socket.receive(50)).empty();) got += more;
    return got;
  }
  std::mutex mutex;
  std::vector<HttpExchangePtr> held;
};

std::string first_line(const std::string& text) { return text.substr(0, text.find("\r\n")); }
std::string body_of(const std::string& text) {
  const auto at = text.find("\r\n\r\n");
  return at == std::string::npos ? "" : text.substr(at + 4);
}
int count_of(const std::string& text, const std::string& what) {
  int n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("http1: requests are answered on the port of gRPC") {
  HttpFixture server;
  const std::string answer = server.ask("GET /echo?a=1&b HTTP/1.1\r\nHost: x\r\nX-Test: yes\r\n\r\n");
  CHECK(first_line(answer) == "HTTP/1.1 200 OK");
  CHECK(answer.find("\r\nContent-Length: 20\r\n") != std::string::npos);
  CHECK(answer.find("\r\nDate: ") != std::string::npos);
  CHECK(body_of(answer) == "GET /echo a=1&b yes ");
  CHECK(body_of(server.ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")).ends_with(" hello"));
  CHECK(body_of(server.ask("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")).ends_with(" hello"));
  CHECK(body_of(server.ask("GET /tree/a%20b/c HTTP/1.1\r\nHost: x\r\n\r\n")) == "tree /tree/a b/c");
  const std::string unknown = server.ask("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(first_line(unknown) == "HTTP/1.1 404 Not Found");
  CHECK(body_of(unknown) == "404 page not found\n");
  CHECK(count_of(unknown, "Access-Control-Allow-Origin: *\r\n") == 1);
  CHECK(first_line(server.ask("GET /drop HTTP/1.1\r\nHost: x\r\n\r\n")) == "HTTP/1.1 500 Internal Server Error");
  const std::string head = server.ask("HEAD /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(head.find("Content-Length: 13") != std::string::npos);
  CHECK(body_of(head).empty());
  TestClient client(server.port());
  CHECK(client.call("/t.T/Echo", "both").grpc_status() == "0");
}

TEST_CASE("http1: connections are kept, pipelined requests answered in order, closed when asked") {
  HttpFixture server;
  const std::string get = "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n";
  CHECK(count_of(server.ask(get + get + "\r\n" + get), "HTTP/1.1 200 OK") == 3);
  const std::string closed = server.ask(get + "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + get, true);
  CHECK(count_of(closed, "HTTP/1.1 200 OK") == 2);
  CHECK(count_of(closed, "Connection: close") == 1);
  CHECK(first_line(server.ask("GET /echo HTTP/1.0\r\n\r\n", true)) == "HTTP/1.0 200 OK");
  TestSocket socket(server.port());
  for (int i = 0; i < 3; ++i) {
    socket.send(get);
    CHECK(first_line(socket.receive(5000)) == "HTTP/1.1 200 OK");
  }
  // A client that has sent its request and closed its half still gets the answer.
  TestSocket half(server.port());
  half.send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  half.shutdown_write();
  CHECK(eventually([&] {
    std::lock_guard lock(server.mutex);
    return server.held.size() == 1;
  }));
  server.in_thread(0, [&] { std::exchange(server.held, {})[0]->respond(HttpResponse::json(200, "{\"late\":1}")); });
  CHECK(body_of(half.receive_all(5000)) == "{\"late\":1}");
}

TEST_CASE("http1: answers may come later and from elsewhere, or never be wanted") {
  HttpFixture server;
  TestSocket socket(server.port());
  socket.send("GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(eventually([&] {
    std::lock_guard lock(server.mutex);
    return server.held.size() == 1;
  }));
  CHECK(socket.receive(30).empty());
  server.in_thread(0, [&] { server.held[0]->respond(HttpResponse::text(200, "later\n")); });
  std::string got;
  while (count_of(got, "HTTP/1.1 200") < 2 && !socket.ended()) got += socket.receive(1000);
  CHECK(got.find("later\n") < got.find("GET /echo"));
  {
    std::lock_guard lock(server.mutex);
    server.held.clear();  // in a foreign thread
  }
  {
    TestSocket gone(server.port());
    gone.send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(eventually([&] {
      std::lock_guard lock(server.mutex);
      return server.held.size() == 1;
    }));
  }
  server.in_thread(0, [&] {
    server.held[0]->respond(HttpResponse::text(200, "nobody"));
    server.held.clear();
  });
}

TEST_CASE("http1: streamed answers are chunked, or end with the connection for HTTP/1.0") {
  HttpFixture server;
  CHECK(body_of(server.ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")) == "3\r\none\r\n14\r\n22222222222222222222\r\n0\r\n\r\n");
  CHECK(body_of(server.ask("GET /stream HTTP/1.0\r\n\r\n", true)) == "one22222222222222222222");
}

TEST_CASE("http1: bad requests get their status and the connection is closed") {
  HttpFixture server;
  const auto status = [&](const std::string& bytes) { return first_line(server.ask(bytes, true)); };
  CHECK(status("NONSENSE\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(body_of(server.ask("GET /echo HTTP/1.1\r\n\r\n", true)) == "400 Bad Request: missing required Host header");
  CHECK(status("GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") == "HTTP/1.1 400 Bad Request: too many Host headers");
  CHECK(status("GET /echo HTTP/9.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 "));
  CHECK(status("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(status("GET /echo HTTP/1.1\r\nHost: a\r\nX: " + std::string(3000, 'x') + "\r\n\r\n") == "HTTP/1.1 431 Request Header Fields Too Large");
  CHECK(status("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n" + std::string(6000, 'x')) == "HTTP/1.1 413 Payload Too Large");
  // What request smuggling is made of.
  CHECK(status("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(status("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(status("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!") == "HTTP/1.1 400 Bad Request");
  CHECK(status("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(status("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx") == "HTTP/1.1 400 Bad Request");
}

TEST_CASE("http1: a client that waits for 100 Continue gets it") {
  HttpFixture server;
  TestSocket socket(server.port());
  socket.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  CHECK(socket.receive(5000) == "HTTP/1.1 100 Continue\r\n\r\n");
  socket.send("hello");
  CHECK(body_of(socket.receive(5000)).ends_with(" hello"));
}

TEST_CASE("http1: bytes one by one, and mutated requests") {
  HttpFixture server;
  const std::string request = "POST /echo?x=%41 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: nothing\r\n\r\nabcGET /tree/ HTTP/1.1\r\nHost: y\r\n\r\n";
  {
    TestSocket socket(server.port());
    for (const char c : request) socket.send(std::string_view(&c, 1));
    std::string got;
    while (count_of(got, "HTTP/1.1 200") < 2 && !socket.ended()) got += socket.receive(1000);
    CHECK(count_of(got, "HTTP/1.1 200") == 2);
  }
  base::Random random(99);
  for (int round = 0; round < 600; ++round) {
    std::string bytes = request;
    for (std::uint64_t i = 0, n = 1 + random.below(5); i < n; ++i) {
      const std::size_t at = random.below(bytes.size());
      if (random.one_in(3)) bytes.erase(at, random.below(10));
      else bytes[at] = static_cast<char>(random.next());
      if (bytes.empty()) bytes = "x";
    }
    TestSocket socket(server.port());
    socket.send(bytes);
    socket.shutdown_write();
    if (round % 20 == 0) socket.receive(5);
  }
  CHECK(eventually([&] { return server.listener->stats().open_connections == 0; }));
  CHECK(first_line(server.ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")) == "HTTP/1.1 200 OK");
}

TEST_CASE("http1: query parameters") {
  HttpRequest request;
  request.query = "serializable=true&exclude=NOSPACE&exclude=COR%52UPT&x+y=a+b&flag";
  CHECK(request.query_values("serializable") == std::vector<std::string>{"true"});
  CHECK(request.query_values("exclude") == std::vector<std::string>{"NOSPACE", "CORRUPT"});
  CHECK(request.query_values("x y") == std::vector<std::string>{"a b"});
  CHECK(request.query_values("flag") == std::vector<std::string>{""});
  CHECK(request.query_values("none").empty());
}
