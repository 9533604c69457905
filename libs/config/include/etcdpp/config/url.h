#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/base/result.h>

namespace etcdpp::config {

/// A URL as etcd's flags take it: where to listen, or what is advertised to others.
///
/// Schemes http, https, unix and unixs. For the first two `host` is "name:port" or "[v6]:port"; a unix URL keeps the
/// whole rest ("localhost:2379", "/run/etcd.sock") in host + path, and `socket_path()` joins them.
struct Url {
  std::string scheme;
  std::string host;
  std::string path;

  bool tls() const { return scheme == "https" || scheme == "unixs"; }
  bool unix_socket() const { return scheme == "unix" || scheme == "unixs"; }
  /// Host without port and brackets.
  std::string hostname() const;
  /// Port in [0, 65535]; -1 for a unix URL without one.
  int port() const;
  /// Path of the socket file of a unix URL.
  std::string socket_path() const { return host + path; }
  std::string text() const { return scheme + "://" + host + path; }

  friend bool operator==(const Url&, const Url&) = default;
  friend auto operator<=>(const Url&, const Url&) = default;
};

/// One URL; the error's context is etcd's text.
base::Result<Url> parse_url(std::string_view text);
/// A comma list, sorted as etcd sorts it (by text). An empty text is an empty list.
base::Result<std::vector<Url>> parse_url_list(std::string_view text);

std::vector<std::string> url_texts(const std::vector<Url>& urls);
/// "a,b"
std::string join_urls(const std::vector<Url>& urls);

}  // namespace etcdpp::config
