#pragma once

#include <system_error>

namespace etcdpp::net {

/// What can go wrong before a connection exists; afterwards peers are answered in their protocol. Failed system calls
/// (address in use, permission) come as std::generic_category with the address as context.
enum class Errc {
  kBadUrl = 1,        // not http://ip:port, https://ip:port, unix://path or unixs://path
  kTlsNotConfigured,  // https:// or unixs:// without a certificate
  kTooFewFiles,       // the process may open too few files to serve anybody
};

const std::error_category& net_category();
inline std::error_code make_error_code(Errc e) { return {static_cast<int>(e), net_category()}; }

}  // namespace etcdpp::net

template <>
struct std::is_error_code_enum<etcdpp::net::Errc> : std::true_type {};
