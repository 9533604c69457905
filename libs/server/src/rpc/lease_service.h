#pragma once

#include "service.h"

namespace etcdpp::server {

/// etcdserverpb.Lease. Grants and revocations go through the log; renewals and questions reach the lessor as tasks of the
/// apply loop, beside the committed batches.
class LeaseService : public Service {
 public:
  explicit LeaseService(Member& member) : Service(member) {}
  void add_to(net::GrpcServer& server);

 private:
  friend class KeepAliveStream;
  void grant(net::CallRef call, std::string_view message);
  void revoke(net::CallRef call, std::string_view message);
  void time_to_live(net::CallRef call, std::string_view message);
  void answer_time_to_live(net::CallRef call, const etcdserverpb::LeaseTimeToLiveRequest& request, base::Result<> outcome);
  void leases(net::CallRef call, std::string_view message);
};

}  // namespace etcdpp::server
