#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/base/result.h>

namespace etcdpp::client {

/// Whether an endpoint's scheme says something about TLS: `http` and `unix` switch it off, `https` and `unixs` on; an
/// address without scheme leaves it to the options.
enum class EndpointTls { kByOptions, kOff, kOn };

/// One address of a member: what the user wrote, and what gRPC dials.
struct Endpoint {
  std::string text;     ///< as given, for messages and tables
  std::string target;   ///< gRPC name: "dns:///host:port" or "unix:path"
  std::string address;  ///< host:port or path, as a log line names the peer
  EndpointTls tls = EndpointTls::kByOptions;
};

/// Reads `host:port`, `http://host:port`, `https://host:port`, `unix://path` and `unixs://path` (one or two slashes, or
/// none, before the path). Errors: Errc::kBadEndpoint with the text.
base::Result<Endpoint> parse_endpoint(std::string_view text);

/// Reads a list in order; an empty one is Errc::kNoEndpoints.
base::Result<std::vector<Endpoint>> parse_endpoints(const std::vector<std::string>& texts);

}  // namespace etcdpp::client
