#pragma once

#include <etcdpp/base/result.h>

#include <etcdserverpb/rpc.pb.h>

namespace etcdpp::server {

/// What a key-value request must look like before it is read or proposed; etcd's checks in etcd's order, since the first
/// that fails is what the client sees (docs/COMPATIBILITY.md).
base::Result<> check_range_request(const etcdserverpb::RangeRequest& request);
base::Result<> check_range_stream_request(const etcdserverpb::RangeRequest& request);
base::Result<> check_put_request(const etcdserverpb::PutRequest& request);
base::Result<> check_delete_range_request(const etcdserverpb::DeleteRangeRequest& request);
/// Operations are counted per level against what the levels above have left of `max_operations`; no key may be put twice,
/// or put and deleted, on one path.
base::Result<> check_txn_request(const etcdserverpb::TxnRequest& request, std::size_t max_operations);

/// A transaction that needs no entry: every operation of both branches is a range.
bool is_read_only(const etcdserverpb::TxnRequest& request);
/// A read-only one that asks for no linearizable read (vacuously so when it has no operation at all, as in etcd).
bool is_serializable(const etcdserverpb::TxnRequest& request);

}  // namespace etcdpp::server
