#include "validation.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "../errc.h"

namespace etcdpp::server {

namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using RequestOps = google::protobuf::RepeatedPtrField<RequestOp>;

struct Interval {
  std::string_view begin;
  std::string_view end;
  bool single;

  bool contains(std::string_view key) const { return single ? key == begin : key >= begin && key < end; }
};

/// As etcd: a deletion of everything from a key on ("\0") clashes with no put here.
Interval interval_of(const etcdserverpb::DeleteRangeRequest& request) {
  return {request.key(), request.range_end(), request.range_end().empty()};
}

/// Keys put and intervals deleted by a list of operations and the transactions within it.
struct Writes {
  std::set<std::string_view> puts;
  std::vector<Interval> deletes;

  bool deleted(std::string_view key) const {
    return std::ranges::any_of(deletes, [&](const Interval& i) { return i.contains(key); });
  }
};

base::Result<Writes> collect_writes(const RequestOps& operations) {
  Writes writes;
  for (const RequestOp& op : operations)
    if (op.has_request_delete_range()) writes.deletes.push_back(interval_of(op.request_delete_range()));
  for (const RequestOp& op : operations) {
    if (!op.has_request_txn()) continue;
    ETCDPP_ASSIGN(const Writes then, collect_writes(op.request_txn().success()));
    ETCDPP_ASSIGN(const Writes otherwise, collect_writes(op.request_txn().failure()));
    for (std::string_view key : then.puts)
      if (!writes.puts.insert(key).second || writes.deleted(key)) return base::Error(Errc::kDuplicateKey);
    for (std::string_view key : otherwise.puts) {
      // Only one of the two branches will run.
      if (!writes.puts.insert(key).second && !then.puts.contains(key)) return base::Error(Errc::kDuplicateKey);
      if (writes.deleted(key)) return base::Error(Errc::kDuplicateKey);
    }
    writes.deletes.insert(writes.deletes.end(), then.deletes.begin(), then.deletes.end());
    writes.deletes.insert(writes.deletes.end(), otherwise.deletes.begin(), otherwise.deletes.end());
  }
  for (const RequestOp& op : operations) {
    if (!op.has_request_put()) continue;
    const std::string_view key = op.request_put().key();
    if (!writes.puts.insert(key).second || writes.deleted(key)) return base::Error(Errc::kDuplicateKey);
  }
  return writes;
}

base::Result<> check_txn_shape(const TxnRequest& request, std::int64_t budget);

base::Result<> check_operation(const RequestOp& op, std::int64_t budget) {
  switch (op.request_case()) {
    case RequestOp::kRequestRange: return check_range_request(op.request_range());
    case RequestOp::kRequestPut: return check_put_request(op.request_put());
    case RequestOp::kRequestDeleteRange: return check_delete_range_request(op.request_delete_range());
    case RequestOp::kRequestTxn: return check_txn_shape(op.request_txn(), budget);
    case RequestOp::REQUEST_NOT_SET: return base::Error(Errc::kKeyNotFound);
  }
  return base::Error(Errc::kKeyNotFound);
}

base::Result<> check_txn_shape(const TxnRequest& request, std::int64_t budget) {
  const std::int64_t operations = std::max({request.compare_size(), request.success_size(), request.failure_size()});
  if (operations > budget) return base::Error(Errc::kTooManyOperations);
  for (const auto& compare : request.compare())
    if (compare.key().empty()) return base::Error(Errc::kEmptyKey);
  for (const RequestOp& op : request.success()) ETCDPP_TRY(check_operation(op, budget - operations));
  for (const RequestOp& op : request.failure()) ETCDPP_TRY(check_operation(op, budget - operations));
  return {};
}

template <typename Predicate>
bool all_operations(const TxnRequest& request, Predicate predicate) {
  return std::ranges::all_of(request.success(), predicate) && std::ranges::all_of(request.failure(), predicate);
}

}  // namespace

base::Result<> check_range_request(const RangeRequest& request) {
  if (request.key().empty()) return base::Error(Errc::kEmptyKey);
  if (!RangeRequest::SortOrder_IsValid(request.sort_order()) || !RangeRequest::SortTarget_IsValid(request.sort_target()))
    return base::Error(Errc::kInvalidSortOption);
  return {};
}

base::Result<> check_range_stream_request(const RangeRequest& request) {
  ETCDPP_TRY(check_range_request(request));
  if (request.sort_order() == RangeRequest::DESCEND ||
      (request.sort_order() == RangeRequest::ASCEND && request.sort_target() != RangeRequest::KEY))
    return base::Error(Errc::kRangeStreamSortOrder);
  if (request.min_mod_revision() != 0 || request.max_mod_revision() != 0 || request.min_create_revision() != 0 ||
      request.max_create_revision() != 0)
    return base::Error(Errc::kRangeStreamRevisionFilter);
  return {};
}

base::Result<> check_put_request(const etcdserverpb::PutRequest& request) {
  if (request.key().empty()) return base::Error(Errc::kEmptyKey);
  if (request.ignore_value() && !request.value().empty()) return base::Error(Errc::kValueProvided);
  if (request.ignore_lease() && request.lease() != 0) return base::Error(Errc::kLeaseProvided);
  return {};
}

base::Result<> check_delete_range_request(const etcdserverpb::DeleteRangeRequest& request) {
  if (request.key().empty()) return base::Error(Errc::kEmptyKey);
  return {};
}

base::Result<> check_txn_request(const TxnRequest& request, std::size_t max_operations) {
  ETCDPP_TRY(check_txn_shape(request, static_cast<std::int64_t>(max_operations)));
  ETCDPP_TRY(collect_writes(request.success()));
  ETCDPP_TRY(collect_writes(request.failure()));
  return {};
}

bool is_read_only(const TxnRequest& request) {
  return all_operations(request, [](const RequestOp& op) { return op.has_request_range(); });
}

bool is_serializable(const TxnRequest& request) {
  return all_operations(request, [](const RequestOp& op) { return op.has_request_range() && op.request_range().serializable(); });
}

}  // namespace etcdpp::server
