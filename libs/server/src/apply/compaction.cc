#include "requests.h"

namespace etcdpp::server {

base::Result<ResponseMessage> apply_compaction(ApplyState& state, const etcdserverpb::CompactionRequest& request,
                                               std::uint64_t entry_index) {
  ETCDPP_TRY(state.store.compact(request.revision(), entry_index));
  state.metrics.compactions.scheduled(request.revision(), state.clock.now());
  auto response = std::make_unique<etcdserverpb::CompactionResponse>();
  response->mutable_header()->set_revision(state.store.revision());
  return ResponseMessage(std::move(response));
}

}  // namespace etcdpp::server
