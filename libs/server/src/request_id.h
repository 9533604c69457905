#pragma once

#include <atomic>
#include <cstdint>

namespace etcdpp::server {

/// Makes the ids of requests, conf changes, read index rounds and leases: 16 low bits of the member id, 40 bits of the
/// start time in milliseconds, and a counter. Two runs of one member never give the same id unless it made more than
/// 2^8 a millisecond for its whole life (docs/GLOSSARY.md, request id).
/// Threads: any.
class RequestIdGenerator {
 public:
  RequestIdGenerator(std::uint64_t member_id, std::int64_t wall_milliseconds)
      : prefix_((member_id & 0xffff) << 48),
        suffix_((static_cast<std::uint64_t>(wall_milliseconds) & ((std::uint64_t{1} << 40) - 1)) << 8) {}

  std::uint64_t next() {
    return prefix_ | ((suffix_.fetch_add(1, std::memory_order_relaxed) + 1) & 0xffff'ffff'ffffULL);
  }

 private:
  const std::uint64_t prefix_;
  std::atomic<std::uint64_t> suffix_;
};

}  // namespace etcdpp::server
