#include "cluster_service.h"

namespace etcdpp::server {

void ClusterService::add_to(net::GrpcServer& server) {
  server.unary("/etcdserverpb.Cluster/MemberList",
               [this](net::CallRef call, std::string_view message) { member_list(std::move(call), message); });
}

void ClusterService::member_list(net::CallRef call, std::string_view message) {
  etcdserverpb::MemberListRequest request;
  if (!parse_request(request, message, *call)) return;
  if (!request.linearizable()) return answer_member_list(*call);
  when_linearizable(std::move(call), [this](net::GrpcCall& ready) { answer_member_list(ready); });
}

void ClusterService::answer_member_list(net::GrpcCall& call) {
  etcdserverpb::MemberListResponse response;
  complete(*response.mutable_header());
  for (const auto& [id, member] : member_.facts()->membership.members()) {
    auto& out = *response.add_members();
    out.set_id(id);
    out.set_name(member.name);
    out.set_islearner(member.is_learner);
    for (const std::string& url : member.peer_urls) out.add_peerurls(url);
    for (const std::string& url : member.client_urls) out.add_clienturls(url);
  }
  reply(call, response);
}

}  // namespace etcdpp::server
