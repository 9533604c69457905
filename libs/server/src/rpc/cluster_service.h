#pragma once

#include "service.h"

namespace etcdpp::server {

/// etcdserverpb.Cluster: who the members are.
class ClusterService : public Service {
 public:
  explicit ClusterService(Member& member) : Service(member) {}
  void add_to(net::GrpcServer& server);

 private:
  void member_list(net::CallRef call, std::string_view message);
  void answer_member_list(net::GrpcCall& call);
};

}  // namespace etcdpp::server
