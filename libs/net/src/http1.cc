#include <etcdpp/net/http1.h>

#include <algorithm>
#include <cctype>

#include <etcdpp/base/assert.h>

#include "percent.h"

namespace etcdpp::net {
namespace {

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string form_decode(std::string_view text) {
  std::string out;
  percent_decode(text, true, out);
  return out;
}

}  // namespace

bool percent_decode(std::string_view text, bool form, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
        out.push_back(static_cast<char>(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2])));
        i += 2;
        continue;
      }
      if (!form) return false;
    }
    out.push_back(form && text[i] == '+' ? ' ' : text[i]);
  }
  return true;
}

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return {};
}

std::vector<std::string> HttpRequest::query_values(std::string_view name) const {
  std::vector<std::string> out;
  std::string_view rest = query;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (form_decode(pair.substr(0, equals)) != name) continue;
    out.push_back(equals < pair.size() ? form_decode(pair.substr(equals + 1)) : std::string());
  }
  return out;
}

HttpResponse HttpResponse::text(unsigned status, std::string body) {
  return {status, {{"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}}, std::move(body)};
}

HttpResponse HttpResponse::json(unsigned status, std::string body) {
  return {status, {{"Content-Type", "application/json"}}, std::move(body)};
}

void HttpExchangeRelease::operator()(HttpExchange* exchange) const {
  Executor& executor = exchange->executor();
  if (executor.is_current()) {
    delete exchange;
  } else {
    executor.post([exchange] { delete exchange; });
  }
}

void HttpServer::handle(std::string path, HttpHandler handler) {
  ETCDPP_ASSERT(path.starts_with('/'), "an HTTP path begins with a slash");
  if (path.size() > 1 && !path.ends_with('/')) {
    exact_.emplace_back(std::move(path), std::move(handler));
    return;
  }
  prefixes_.emplace_back(std::move(path), std::move(handler));
  std::ranges::sort(prefixes_, [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
}

const HttpHandler& HttpServer::find(std::string_view path) const {
  static const HttpHandler not_found = [](HttpExchangePtr exchange) {
    exchange->respond(HttpResponse::text(404, "404 page not found\n"));
  };
  for (const auto& [known, handler] : exact_) {
    if (known == path) return handler;
  }
  for (const auto& [prefix, handler] : prefixes_) {
    if (path.starts_with(prefix)) return handler;
  }
  return not_found;
}

}  // namespace etcdpp::net
