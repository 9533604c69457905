#include <etcdpp/config/url.h>

#include <algorithm>
#include <charconv>

#include <etcdpp/config/errc.h>

#include "go_syntax.h"

namespace etcdpp::config {

namespace {

base::Error refuse_url(std::string what) { return {Errc::kInvalidUrl, std::move(what)}; }

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool digit(char c) { return c >= '0' && c <= '9'; }

struct HostPort {
  std::string_view host;
  std::string_view port;
  bool has_port = false;
};

/// "name:port" or "[v6]:port".
HostPort split_host_port(std::string_view text) {
  std::size_t colon = text.rfind(':');
  if (!text.empty() && text[0] == '[') {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return {text, {}, false};
    if (close + 1 == text.size()) return {text.substr(1, close - 1), {}, false};
    if (text[close + 1] != ':') return {text, {}, false};
    return {text.substr(1, close - 1), text.substr(close + 2), true};
  }
  if (colon == std::string_view::npos) return {text, {}, false};
  return {text.substr(0, colon), text.substr(colon + 1), true};
}

}  // namespace

std::string Url::hostname() const { return std::string(split_host_port(host).host); }

int Url::port() const {
  const HostPort parts = split_host_port(host);
  int value = -1;
  if (parts.has_port && !parts.port.empty()) {
    std::from_chars(parts.port.data(), parts.port.data() + parts.port.size(), value);
  }
  return value;
}

base::Result<Url> parse_url(std::string_view raw) {
  const std::string_view text = trimmed(raw);
  const auto go_error = [&](const std::string& what) { return refuse_url("parse " + quoted(text) + ": " + what); };
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return go_error("net/url: invalid control character in URL");
  }
  // A scheme is letters, digits, '+', '-', '.', and begins with a letter.
  std::string scheme;
  std::string_view rest = text;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (letter(c) || (i > 0 && (digit(c) || c == '+' || c == '-' || c == '.'))) continue;
    if (c == ':') {
      if (i == 0) return go_error("missing protocol scheme");
      scheme = text.substr(0, i);
      std::transform(scheme.begin(), scheme.end(), scheme.begin(),
                     [](char upper) { return upper >= 'A' && upper <= 'Z' ? static_cast<char>(upper | 0x20) : upper; });
      rest = text.substr(i + 1);
    }
    break;
  }
  if (scheme.empty() && text.substr(0, text.find('/')).find(':') != std::string_view::npos) {
    return go_error("first path segment in URL cannot contain colon");
  }
  const bool network = scheme == "http" || scheme == "https";
  if (!network && scheme != "unix" && scheme != "unixs") {
    return refuse_url("URL scheme must be http, https, unix, or unixs: " + std::string(text));
  }
  if (rest.find_first_of("?#@") != std::string_view::npos) {
    return refuse_url("URL must not contain a user, a query or a fragment: " + std::string(text));
  }
  Url url{std::move(scheme), {}, {}};
  if (rest.substr(0, 2) == "//") {
    rest.remove_prefix(2);
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    url.host = rest.substr(0, slash);
    url.path = rest.substr(slash);
  } else {
    url.path = rest;
  }
  if (url.host.find_first_of(" \"<>\\^`{|}") != std::string::npos) {
    return go_error("invalid character in host name");
  }
  const HostPort parts = split_host_port(url.host);
  if (network) {
    if (parts.has_port) {
      unsigned number = 0;
      const char* end = parts.port.data() + parts.port.size();
      const auto [stop, code] = std::from_chars(parts.port.data(), end, number);
      if (!parts.port.empty() && (stop != end || code != std::errc() || number > 65535)) {
        return go_error("invalid port " + quoted(":" + std::string(parts.port)) + " after host");
      }
    }
    const bool bare_v6 = url.host.find(':') != url.host.rfind(':') && url.host[0] != '[';
    if (!parts.has_port || parts.port.empty() || bare_v6) {
      return refuse_url("URL address does not have the form \"host:port\": " + std::string(text));
    }
    if (!url.path.empty()) return refuse_url("URL must not contain a path: " + std::string(text));
  } else if (url.socket_path().empty()) {
    return refuse_url("URL of a unix socket has no path: " + std::string(text));
  }
  return url;
}

base::Result<std::vector<Url>> parse_url_list(std::string_view text) {
  std::vector<Url> urls;
  if (text.empty()) return urls;
  while (true) {
    const std::size_t comma = text.find(',');
    ETCDPP_ASSIGN(Url url, parse_url(text.substr(0, comma)));
    urls.push_back(std::move(url));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  std::sort(urls.begin(), urls.end(), [](const Url& a, const Url& b) { return a.text() < b.text(); });
  return urls;
}

std::vector<std::string> url_texts(const std::vector<Url>& urls) {
  std::vector<std::string> texts;
  texts.reserve(urls.size());
  for (const Url& url : urls) texts.push_back(url.text());
  return texts;
}

std::string join_urls(const std::vector<Url>& urls) {
  std::string text;
  for (const Url& url : urls) {
    if (!text.empty()) text += ',';
    text += url.text();
  }
  return text;
}

}  // namespace etcdpp::config
