#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <etcdpp/base/logger.h>

namespace etcdpp::client {

/// TLS of the client side. With everything empty, TLS is used only for endpoints that ask for it (https, unixs), with
/// the system's roots.
struct TlsOptions {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  bool enabled = false;      ///< use TLS for endpoints without a scheme
  bool skip_verify = false;  ///< accept any server certificate; for experiments
  std::string server_name;   ///< name to verify instead of the endpoint's host
};

/// How a Client connects and how long it tries. The defaults are etcd's.
struct Options {
  std::vector<std::string> endpoints{"127.0.0.1:2379"};

  std::chrono::milliseconds dial_timeout{2000};  ///< limit of one Authenticate call
  std::chrono::milliseconds keepalive_time{
      2000};  ///< silence before a ping; below 10 s counts as 10 s, since servers refuse faster ones
  std::chrono::milliseconds keepalive_timeout{6000};  ///< silence after a ping before the connection is given up

  std::int64_t max_send_bytes = 2 * 1024 * 1024;  ///< a larger request fails with ResourceExhausted
  std::int64_t max_receive_bytes = 2147483647;    ///< a larger answer fails with ResourceExhausted

  unsigned max_retries = 100;                ///< attempts of one call in all
  std::chrono::milliseconds retry_wait{25};  ///< wait after each majority of endpoints failed, ±10 %

  TlsOptions tls;
  std::string username;  ///< with password: Authenticate before the first call
  std::string password;
  std::string token;  ///< sent as is; no Authenticate call

  base::Logger* logger = nullptr;  ///< gets a warning per failed attempt; null is silent
};

/// How one call is made.
struct CallOptions {
  std::chrono::milliseconds timeout{0};  ///< of the whole call with its retries; 0 waits for ever
  bool require_leader = false;           ///< fail at once on a member that sees no leader
};

}  // namespace etcdpp::client
