#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include <etcdpp/net/http1.h>

namespace etcdpp::net {

/// Puts bytes together to HTTP/1.x requests. Beast's parser behind a small door, so that only one file compiles it: it
/// refuses what request smuggling lives on (two lengths, length and chunked together, stray line ends).
class Http1Parser {
 public:
  enum class Outcome {
    kMore,      // not complete
    kRequest,   // take() it
    kRefused,   // answer refusal_status() and close
  };

  Http1Parser(std::size_t max_header, std::size_t max_body);
  ~Http1Parser();

  /// Parses from `bytes` and says in `used` how many it is done with; the others are to be given again, with more behind.
  Outcome parse(std::string_view bytes, std::size_t& used);

  /// Some of a request has come.
  bool begun() const;
  /// The header is there, the body is not, and the client waits for 100 Continue.
  bool expects_continue() const;
  unsigned refusal_status() const { return refusal_status_; }
  /// More than the status says, or empty.
  std::string_view refusal_reason() const { return refusal_reason_; }
  bool keep_alive() const;
  bool http_1_0() const;
  HttpRequest take();

 private:
  struct Beast;
  std::unique_ptr<Beast> beast_;
  unsigned refusal_status_ = 400;
  std::string_view refusal_reason_;
};

/// "Not Found" of 404.
std::string_view http_reason(unsigned status);

}  // namespace etcdpp::net
