#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <etcdpp/net/executor.h>

namespace etcdpp::net {

/// One HTTP/1.1 request, complete with its body. Header names are compared without case.
struct HttpRequest {
  std::string method;   // "GET"
  std::string target;   // "/health?serializable=true", as sent
  std::string path;     // before '?', percent-decoding undone
  std::string query;    // behind '?', as sent
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string peer;     // "127.0.0.1:51234"

  /// First value, or empty.
  std::string_view header(std::string_view name) const;
  /// Values of a query parameter, percent-decoded, in order.
  std::vector<std::string> query_values(std::string_view name) const;
};

struct HttpResponse {
  unsigned status = 200;
  std::vector<std::pair<std::string, std::string>> headers;  // Content-Length, Date and Connection are added
  std::string body;

  static HttpResponse text(unsigned status, std::string body);
  static HttpResponse json(unsigned status, std::string body);
};

/// The way to answer one HTTP/1.1 request, once: whole with respond, or begin, write …, end (sent chunked).
///
/// Threads: move it to any thread together with the work; use it in executor()'s thread. Letting it go unanswered sends
/// 500. If the client has gone, what is sent is dropped.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual const HttpRequest& request() const = 0;
  virtual Executor& executor() const = 0;
  virtual void respond(HttpResponse response) = 0;

  virtual void begin(unsigned status, std::vector<std::pair<std::string, std::string>> headers) = 0;
  virtual void write(std::string_view bytes) = 0;
  virtual void end() = 0;
  /// Bytes written that the socket has not yet taken.
  virtual std::size_t pending_send_bytes() const = 0;
  virtual void set_on_writable(std::size_t low_water, std::move_only_function<void()> callback) = 0;
  /// Runs once, in the executor's thread, if the client disconnects before the answer is complete.
  virtual void set_on_closed(std::move_only_function<void()> callback) = 0;
  virtual bool closed() const = 0;
};

/// Lets an exchange go in its own thread, whoever holds it.
struct HttpExchangeRelease {
  void operator()(HttpExchange* exchange) const;
};
using HttpExchangePtr = std::unique_ptr<HttpExchange, HttpExchangeRelease>;

using HttpHandler = std::function<void(HttpExchangePtr exchange)>;

/// The plain HTTP requests that are served: by exact path, or by the longest prefix that ends in '/'. Unknown ones get
/// 404 "404 page not found". The handler looks at the method itself.
///
/// Threads: register everything before a listener starts; read-only afterwards.
class HttpServer {
 public:
  void handle(std::string path, HttpHandler handler);
  /// Goes with every answer, also 404 (etcd's Access-Control-Allow-* headers).
  void add_common_header(std::string name, std::string value) { common_headers_.emplace_back(std::move(name), std::move(value)); }
  const HttpHandler& find(std::string_view path) const;
  const std::vector<std::pair<std::string, std::string>>& common_headers() const { return common_headers_; }

 private:
  std::vector<std::pair<std::string, std::string>> common_headers_;
  std::vector<std::pair<std::string, HttpHandler>> exact_;
  std::vector<std::pair<std::string, HttpHandler>> prefixes_;  // longest first
};

}  // namespace etcdpp::net
