#pragma once

#include <cstdint>

#include <etcdpp/base/logger.h>

#include <etcdserverpb/rpc.pb.h>

namespace etcdpp::server {

/// What a request may add to the database, as etcd estimates it; 0 means that it is never refused for space.
inline std::uint64_t quota_cost(const etcdserverpb::PutRequest& put) { return 256 + put.key().size() + put.value().size(); }
inline std::uint64_t quota_cost(const etcdserverpb::LeaseGrantRequest&) { return 64; }
/// The dearer branch, nested transactions included.
std::uint64_t quota_cost(const etcdserverpb::TxnRequest& txn);

/// How large the database may become.
class Quota {
 public:
  /// 0: no limit.
  explicit Quota(std::uint64_t limit_bytes) : limit_(limit_bytes) {}
  bool available(std::uint64_t live_bytes, std::uint64_t cost) const {
    return limit_ == 0 || cost == 0 || live_bytes + cost < limit_;
  }
  /// 0: no limit.
  std::uint64_t limit_bytes() const { return limit_; }

 private:
  std::uint64_t limit_;
};

/// Says which quota is in force, in etcd's words. `configured` as --quota-backend-bytes has it.
void log_quota(base::Logger& logger, std::int64_t configured, const Quota& quota);

}  // namespace etcdpp::server
