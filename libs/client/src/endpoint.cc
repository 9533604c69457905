#include <etcdpp/client/endpoint.h>

#include <etcdpp/client/errc.h>

namespace etcdpp::client {
namespace {

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool is_port(std::string_view port) {
  if (port.empty() || port.size() > 5) return false;
  unsigned value = 0;
  for (char c : port) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value > 0 && value <= 65535;
}

}  // namespace

base::Result<Endpoint> parse_endpoint(std::string_view text) {
  Endpoint endpoint;
  endpoint.text = std::string(text);
  std::string_view rest = text;

  if (bool secure = rest.starts_with("unixs:"); secure || rest.starts_with("unix:")) {
    endpoint.tls = secure ? EndpointTls::kOn : EndpointTls::kOff;
    rest.remove_prefix(secure ? 6 : 5);
    take_prefix(rest, "//");
    if (rest.empty()) return base::Error(Errc::kBadEndpoint, "\"" + endpoint.text + "\" has no path");
    endpoint.address = std::string(rest);
    endpoint.target = "unix:" + endpoint.address;
    return endpoint;
  }

  if (take_prefix(rest, "https://")) {
    endpoint.tls = EndpointTls::kOn;
  } else if (take_prefix(rest, "http://")) {
    endpoint.tls = EndpointTls::kOff;
  } else if (rest.find("://") != std::string_view::npos) {
    return base::Error(Errc::kBadEndpoint, "\"" + endpoint.text + "\" has an unknown scheme");
  }
  if (auto slash = rest.find('/'); slash != std::string_view::npos) {
    if (slash + 1 != rest.size()) return base::Error(Errc::kBadEndpoint, "\"" + endpoint.text + "\" has a path");
    rest.remove_suffix(1);
  }
  auto colon = rest.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || !is_port(rest.substr(colon + 1)))
    return base::Error(Errc::kBadEndpoint, "\"" + endpoint.text + "\" is not host:port");
  endpoint.address = std::string(rest);
  endpoint.target = "dns:///" + endpoint.address;
  return endpoint;
}

base::Result<std::vector<Endpoint>> parse_endpoints(const std::vector<std::string>& texts) {
  if (texts.empty()) return base::Error(Errc::kNoEndpoints);
  std::vector<Endpoint> endpoints;
  for (const auto& text : texts) {
    ETCDPP_ASSIGN(Endpoint endpoint, parse_endpoint(text));
    endpoints.push_back(std::move(endpoint));
  }
  return endpoints;
}

}  // namespace etcdpp::client
