#include "../range_executor.h"
#include "requests.h"

namespace etcdpp::server {

base::Result<> delete_in_txn(ApplyState& state, mvcc::WriteTxn& txn, const etcdserverpb::DeleteRangeRequest& request,
                             etcdserverpb::DeleteRangeResponse& response) {
  const auto range = mvcc::KeyRange::of(request.key(), request.range_end());
  if (request.prev_kv()) {
    ++state.done.ranges;
    ETCDPP_ASSIGN(const mvcc::RangeReader reader, txn.reader());
    std::vector<mvcc::RangeRow> rows;
    ETCDPP_TRY(reader.range(range, {}, rows));
    for (const mvcc::RangeRow& row : rows)
      if (!response.add_prev_kvs()->ParseFromArray(row.key_value.data(), static_cast<int>(row.key_value.size())))
        return base::Error(mvcc::Errc::kBadRow, "previous row is no KeyValue message");
  }
  ++state.done.deletes;
  response.set_deleted(txn.delete_range(range));
  response.mutable_header()->set_revision(txn.revision());
  return {};
}

base::Result<ResponseMessage> apply_delete_range(ApplyState& state, const etcdserverpb::DeleteRangeRequest& request) {
  auto response = std::make_unique<etcdserverpb::DeleteRangeResponse>();
  mvcc::WriteTxn txn(state.store);
  const auto done = delete_in_txn(state, txn, request, *response);
  txn.end();
  if (!done) return done.error();
  return ResponseMessage(std::move(response));
}

base::Result<ResponseMessage> apply_range(ApplyState& state, const etcdserverpb::RangeRequest& request) {
  ETCDPP_ASSIGN(const mvcc::RangeReader reader, state.store.applied_reader());
  ETCDPP_ASSIGN(const RangeSelection selection, select_range(reader, request));
  ++state.done.ranges;
  auto response = std::make_unique<etcdserverpb::RangeResponse>();
  ETCDPP_TRY(fill_response(selection, *response));
  return ResponseMessage(std::move(response));
}

}  // namespace etcdpp::server
