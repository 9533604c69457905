#pragma once

#include <cstdint>

namespace etcdpp::server {

/// What the operating system says of this process, read from /proc when asked. What cannot be read is 0.
struct ProcessStats {
  double cpu_seconds = 0;
  double start_time_seconds = 0;  ///< since 1970
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  double virtual_limit_bytes = 0;
  std::uint64_t open_fds = 0;
  double fd_limit = 0;
  /// Of the network namespace: bytes of IP.
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_bytes = 0;

  static ProcessStats read();
};

}  // namespace etcdpp::server
