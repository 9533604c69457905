#include <arpa/inet.h>

#include <charconv>

#include <etcdpp/net/errc.h>
#include <etcdpp/net/listener.h>

namespace etcdpp::net {

base::Result<ListenUrl> ListenUrl::parse(std::string_view url) {
  const auto bad = [&](std::string_view why) { return base::Error(Errc::kBadUrl, std::string(url) + ": " + std::string(why)); };
  ListenUrl out;
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos) return bad("no scheme");
  const std::string_view scheme = url.substr(0, colon);
  std::string_view rest = url.substr(colon + 3);
  if (scheme == "http" || scheme == "https") {
    out.tls = scheme == "https";
  } else if (scheme == "unix" || scheme == "unixs") {
    out.tls = scheme == "unixs";
    out.unix_socket = true;
    out.host = rest;
    if (out.host.empty()) return bad("no socket file");
    if (out.host.size() > 107) return bad("the path of a unix socket has at most 107 bytes");
    return out;
  } else {
    return bad("unknown scheme");
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const std::size_t port_colon = rest.rfind(':');
  if (port_colon == std::string_view::npos) return bad("no port");
  const std::string_view port = rest.substr(port_colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (error != std::errc() || end != port.data() + port.size()) return bad("the port is not a number up to 65535");
  std::string_view host = rest.substr(0, port_colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  out.host = host == "localhost" ? "127.0.0.1" : host;
  in6_addr address;
  if (::inet_pton(AF_INET, out.host.c_str(), &address) != 1 && ::inet_pton(AF_INET6, out.host.c_str(), &address) != 1) {
    return bad("the host must be an IP address or localhost");
  }
  return out;
}

}  // namespace etcdpp::net
