#include <etcdpp/client/endpoint.h>

#include <ostream>

#include <doctest/doctest.h>

#include <etcdpp/client/errc.h>

using namespace etcdpp;
using client::EndpointTls;

TEST_CASE("endpoint: a scheme decides about TLS, the rest is what gRPC dials") {
  struct Case {
    const char* text;
    const char* target;
    EndpointTls tls;
  };
  for (const Case& c : {Case{"127.0.0.1:2379", "dns:///127.0.0.1:2379", EndpointTls::kByOptions},
                        Case{"http://etcd.example:2379", "dns:///etcd.example:2379", EndpointTls::kOff},
                        Case{"http://etcd.example:2379/", "dns:///etcd.example:2379", EndpointTls::kOff},
                        Case{"https://[::1]:2379", "dns:///[::1]:2379", EndpointTls::kOn},
                        Case{"unix:///run/etcd.sock", "unix:/run/etcd.sock", EndpointTls::kOff},
                        Case{"unix://here:1", "unix:here:1", EndpointTls::kOff},
                        Case{"unixs:/run/etcd.sock", "unix:/run/etcd.sock", EndpointTls::kOn}}) {
    CAPTURE(c.text);
    auto endpoint = client::parse_endpoint(c.text);
    REQUIRE(endpoint);
    CHECK(endpoint->text == c.text);
    CHECK(endpoint->target == c.target);
    CHECK(endpoint->tls == c.tls);
  }
}

TEST_CASE("endpoint: what cannot be dialled is refused with its text") {
  for (const char* text : {"", "127.0.0.1", "host:", ":2379", "host:0", "host:65536", "host:99999999999",
                           "ftp://host:1", "http://host:1/path", "unix:", "unix://", "https://"}) {
    CAPTURE(text);
    auto endpoint = client::parse_endpoint(text);
    REQUIRE_FALSE(endpoint);
    CHECK(endpoint.error().code == client::Errc::kBadEndpoint);
    CHECK(endpoint.error().context.find(text) != std::string::npos);
  }
}

TEST_CASE("endpoint: an empty list is refused, the first bad one names itself") {
  CHECK(client::parse_endpoints({}).error().code == client::Errc::kNoEndpoints);
  CHECK(client::parse_endpoints({"a:1", "b"}).error().code == client::Errc::kBadEndpoint);
  auto two = client::parse_endpoints({"a:1", "b:2"});
  REQUIRE(two);
  CHECK((*two)[1].address == "b:2");
}
