#include "quota.h"

#include <algorithm>

namespace etcdpp::server {

namespace {

using etcdserverpb::RequestOp;

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

}  // namespace etcdpp::server
