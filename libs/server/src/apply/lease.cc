#include "requests.h"

namespace etcdpp::server {

base::Result<ResponseMessage> apply_lease_grant(ApplyState& state, const etcdserverpb::LeaseGrantRequest& request) {
  ETCDPP_ASSIGN(const std::int64_t ttl, state.lessor.grant(request.id(), request.ttl(), state.clock.now()));
  state.metrics.leases_granted.add(1);
  state.metrics.lease_ttl.observe(static_cast<double>(ttl));
  auto response = std::make_unique<etcdserverpb::LeaseGrantResponse>();
  response->set_id(request.id());
  response->set_ttl(ttl);
  response->mutable_header()->set_revision(state.store.revision());
  return ResponseMessage(std::move(response));
}

base::Result<ResponseMessage> apply_lease_revoke(ApplyState& state, const etcdserverpb::LeaseRevokeRequest& request) {
  ETCDPP_ASSIGN(const std::vector<base::Bytes> keys, state.lessor.revoke(request.id()));
  if (!keys.empty()) {
    mvcc::WriteTxn txn(state.store);
    for (const base::Bytes& key : keys) txn.delete_range(mvcc::KeyRange::single(key));
    txn.end();
    state.done.deletes += keys.size();
  }
  state.metrics.leases_revoked.add(1);
  auto response = std::make_unique<etcdserverpb::LeaseRevokeResponse>();
  response->mutable_header()->set_revision(state.store.revision());
  return ResponseMessage(std::move(response));
}

base::Result<ResponseMessage> apply_lease_checkpoint(ApplyState& state, const etcdserverpb::LeaseCheckpointRequest& request) {
  // Once the whole cluster knows the field, which is from 3.6 on: no cluster of this version has an older one, but a new
  // cluster has none at first. Unknown leases are passed over.
  const bool persist = state.persist_checkpoints || !state.membership.cluster_version().empty();
  for (const auto& checkpoint : request.checkpoints())
    static_cast<void>(state.lessor.checkpoint(checkpoint.id(), checkpoint.remaining_ttl(), persist, state.clock.now()));
  auto response = std::make_unique<etcdserverpb::LeaseCheckpointResponse>();
  response->mutable_header()->set_revision(state.store.revision());
  return ResponseMessage(std::move(response));
}

}  // namespace etcdpp::server
