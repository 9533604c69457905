// Hop 11 of a Put: see docs/LIFE_OF_A_PUT.md.
#include <etcdpp/mvcc/key_value.h>

#include "../errc.h"
#include "requests.h"

namespace etcdpp::server {

base::Result<> check_put(ApplyState& state, const etcdserverpb::PutRequest& request) {
  if (request.ignore_value() || request.ignore_lease()) {
    if (!state.store.applied_index().get(request.key(), state.store.revision())) return base::Error(Errc::kKeyNotFound);
  }
  if (request.lease() != 0 && !state.lessor.exists(request.lease())) return base::Error(lease::Errc::kNotFound);
  return {};
}

base::Result<> put_in_txn(ApplyState& state, mvcc::WriteTxn& txn, const etcdserverpb::PutRequest& request,
                          etcdserverpb::PutResponse& response) {
  base::Bytes kept_value;
  base::BytesView value = request.value();
  std::int64_t lease = request.lease();
  if (request.prev_kv() || request.ignore_value() || request.ignore_lease()) {
    ++state.done.ranges;
    ETCDPP_ASSIGN(const mvcc::RangeReader reader, txn.reader());
    ETCDPP_ASSIGN(const auto row, reader.get(request.key(), txn.revision()));
    if (row) {
      ETCDPP_ASSIGN(const mvcc::KeyValue previous, mvcc::decode_key_value(*row));
      if (request.ignore_value()) value = kept_value.assign(previous.value);
      if (request.ignore_lease()) lease = previous.lease;
      if (request.prev_kv() && !response.mutable_prev_kv()->ParseFromArray(row->data(), static_cast<int>(row->size())))
        return base::Error(mvcc::Errc::kBadRow, "previous row is no KeyValue message");
    }
  }
  txn.put(request.key(), value, lease);
  ++state.done.puts;
  state.done.put_bytes += request.key().size() + value.size();
  response.mutable_header()->set_revision(txn.revision());
  return {};
}

base::Result<ResponseMessage> apply_put(ApplyState& state, const etcdserverpb::PutRequest& request) {
  ETCDPP_TRY(check_put(state, request));
  auto response = std::make_unique<etcdserverpb::PutResponse>();
  mvcc::WriteTxn txn(state.store);
  const auto done = put_in_txn(state, txn, request, *response);
  txn.end();
  if (!done) return done.error();
  return ResponseMessage(std::move(response));
}

}  // namespace etcdpp::server
