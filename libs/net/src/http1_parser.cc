#include "http1_parser.h"

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace etcdpp::net {

namespace http = boost::beast::http;

struct Http1Parser::Beast {
  http::request_parser<http::string_body> parser;
  bool begun = false;
};

Http1Parser::Http1Parser(std::size_t max_header, std::size_t max_body) : beast_(std::make_unique<Beast>()) {
  beast_->parser.header_limit(static_cast<std::uint32_t>(max_header));
  beast_->parser.body_limit(max_body);
  beast_->parser.eager(true);
}

Http1Parser::~Http1Parser() = default;

Http1Parser::Outcome Http1Parser::parse(std::string_view bytes, std::size_t& used) {
  auto& parser = beast_->parser;
  used = 0;
  boost::system::error_code error;
  while (!parser.is_done()) {
    if (used == bytes.size() && used > 0) return Outcome::kMore;
    beast_->begun = beast_->begun || !bytes.empty();
    used += parser.put(boost::asio::const_buffer(bytes.data() + used, bytes.size() - used), error);
    if (error == http::error::need_more) return Outcome::kMore;
    if (error) {
      if (error == http::error::body_limit) refusal_status_ = 413;
      else if (error == http::error::header_limit) refusal_status_ = 431;
      else if (error == http::error::bad_version) refusal_status_ = 505;
      else refusal_status_ = 400;
      return Outcome::kRefused;
    }
  }
  const auto& request = parser.get();
  // RFC 9112, 3.2: without Host, or with two, a request of HTTP/1.1 is none.
  const auto hosts = request.count(http::field::host);
  if (hosts > 1 || (hosts == 0 && request.version() >= 11)) {
    refusal_status_ = 400;
    refusal_reason_ = hosts == 0 ? ": missing required Host header" : ": too many Host headers";
    return Outcome::kRefused;
  }
  return Outcome::kRequest;
}

bool Http1Parser::begun() const { return beast_->begun; }

bool Http1Parser::expects_continue() const {
  const auto& parser = beast_->parser;
  return parser.is_header_done() && !parser.is_done() &&
         boost::beast::iequals(parser.get()[http::field::expect], "100-continue");
}

bool Http1Parser::keep_alive() const { return beast_->parser.keep_alive(); }

bool Http1Parser::http_1_0() const { return beast_->parser.get().version() == 10; }

HttpRequest Http1Parser::take() {
  HttpRequest out;
  auto request = beast_->parser.release();
  out.method = std::string(request.method_string());
  out.target = std::string(request.target());
  for (const auto& field : request) out.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  out.body = std::move(request.body());
  return out;
}

std::string_view http_reason(unsigned status) {
  const auto text = http::obsolete_reason(http::int_to_status(status));
  return {text.data(), text.size()};
}

}  // namespace etcdpp::net
