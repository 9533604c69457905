#include "quota.h"

#include <algorithm>

#include <etcdpp/base/human_bytes.h>

namespace etcdpp::server {

namespace {

using etcdserverpb::RequestOp;

/// Above this a database takes long to read at start; etcd warns.
constexpr std::uint64_t kLargeQuota = std::uint64_t{8} << 30;

std::uint64_t branch_cost(const google::protobuf::RepeatedPtrField<RequestOp>& operations) {
  std::uint64_t cost = 0;
  for (const RequestOp& op : operations) {
    if (op.has_request_put()) cost += quota_cost(op.request_put());
    if (op.has_request_txn()) cost += quota_cost(op.request_txn());
  }
  return cost;
}

}  // namespace

std::uint64_t quota_cost(const etcdserverpb::TxnRequest& txn) {
  return std::max(branch_cost(txn.success()), branch_cost(txn.failure()));
}

void log_quota(base::Logger& logger, std::int64_t configured, const Quota& quota) {
  const std::uint64_t bytes = quota.limit_bytes();
  if (bytes == 0) return logger.info("disabled backend quota", {{"quota-name", "v3-applier"}, {"quota-size-bytes", configured}});
  if (bytes > kLargeQuota)
    logger.warn("quota exceeds the maximum value", {{"quota-name", "v3-applier"},
                                                    {"quota-size-bytes", bytes},
                                                    {"quota-size", base::human_bytes(bytes)},
                                                    {"quota-maximum-size-bytes", kLargeQuota},
                                                    {"quota-maximum-size", base::human_bytes(kLargeQuota)}});
  logger.info(configured == 0 ? "enabled backend quota with default value" : "enabled backend quota",
              {{"quota-name", "v3-applier"}, {"quota-size-bytes", bytes}, {"quota-size", base::human_bytes(bytes)}});
}

}  // namespace etcdpp::server
