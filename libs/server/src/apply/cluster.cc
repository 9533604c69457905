#include "requests.h"

namespace etcdpp::server {

void apply_cluster_version(ApplyState& state, const membershippb::ClusterVersionSetRequest& request) {
  const std::string before = state.membership.cluster_version();
  state.membership.set_cluster_version(request.ver(), state.membership_rows);
  const std::string minor = request.ver().substr(0, request.ver().rfind('.'));
  if (before.empty())
    state.logger.info("set initial cluster version", {{"cluster-version", minor}});
  state.logger.info("cluster version is updated", {{"cluster-version", minor}});
}

void apply_member_attributes(ApplyState& state, const membershippb::ClusterMemberAttrSetRequest& request) {
  const auto& attributes = request.member_attributes();
  const std::vector<std::string> urls(attributes.client_urls().begin(), attributes.client_urls().end());
  if (!state.membership.set_attributes(request.member_id(), attributes.name(), urls, state.membership_rows))
    state.logger.warn("skipped attributes of a member that is not in the cluster",
                      {{"member-id", base::hex(request.member_id())}});
}

}  // namespace etcdpp::server
