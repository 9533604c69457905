#pragma once

#include <etcdpp/mvcc/range_reader.h>
#include <etcdpp/mvcc/write_txn.h>

#include <etcdserverpb/raft_internal.pb.h>
#include <etcdserverpb/rpc.pb.h>

#include "apply_state.h"

namespace etcdpp::server {

/// What each kind of request does to the state (docs/formats/log-entries.md). A function of state and request only: every
/// member that applies the same log has the same rows.
///
/// Errors are the request's own and leave nothing half done, except a database that can no longer be read: those have
/// codes of backend or mvcc (is_fatal) and stop the member.

/// Hop 11 of a Put.
base::Result<ResponseMessage> apply_put(ApplyState& state, const etcdserverpb::PutRequest& request);
base::Result<ResponseMessage> apply_delete_range(ApplyState& state, const etcdserverpb::DeleteRangeRequest& request);
base::Result<ResponseMessage> apply_range(ApplyState& state, const etcdserverpb::RangeRequest& request);
/// `answered` false: nobody waits here, ranges within need not be run.
base::Result<ResponseMessage> apply_txn(ApplyState& state, const etcdserverpb::TxnRequest& request, bool answered);
base::Result<ResponseMessage> apply_compaction(ApplyState& state, const etcdserverpb::CompactionRequest& request,
                                               std::uint64_t entry_index);
base::Result<ResponseMessage> apply_lease_grant(ApplyState& state, const etcdserverpb::LeaseGrantRequest& request);
base::Result<ResponseMessage> apply_lease_revoke(ApplyState& state, const etcdserverpb::LeaseRevokeRequest& request);
base::Result<ResponseMessage> apply_lease_checkpoint(ApplyState& state, const etcdserverpb::LeaseCheckpointRequest& request);
base::Result<ResponseMessage> apply_alarm(ApplyState& state, const etcdserverpb::AlarmRequest& request);
void apply_cluster_version(ApplyState& state, const membershippb::ClusterVersionSetRequest& request);
void apply_member_attributes(ApplyState& state, const membershippb::ClusterMemberAttrSetRequest& request);

/// The parts of a transaction that share its WriteTxn.
base::Result<> put_in_txn(ApplyState& state, mvcc::WriteTxn& txn, const etcdserverpb::PutRequest& request,
                          etcdserverpb::PutResponse& response);
base::Result<> delete_in_txn(ApplyState& state, mvcc::WriteTxn& txn, const etcdserverpb::DeleteRangeRequest& request,
                             etcdserverpb::DeleteRangeResponse& response);
/// Whether a put can be applied to the state as it is: its lease exists, and its key where the request leans on it.
base::Result<> check_put(ApplyState& state, const etcdserverpb::PutRequest& request);

/// A transaction that only reads, against one reader; for services, outside the log.
base::Result<> run_read_only_txn(const mvcc::RangeReader& reader, const etcdserverpb::TxnRequest& request,
                                 etcdserverpb::TxnResponse& response);

/// The database can no longer be believed: not an answer to anybody.
bool is_fatal(const base::Error& error);

}  // namespace etcdpp::server
