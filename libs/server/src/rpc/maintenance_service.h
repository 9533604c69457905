#pragma once

#include "../reader_pool.h"
#include "service.h"

namespace etcdpp::server {

/// etcdserverpb.Maintenance: state of this member, alarms, hashes.
class MaintenanceService : public Service {
 public:
  MaintenanceService(Member& member, ReaderPool& readers) : Service(member), readers_(readers) {}
  void add_to(net::GrpcServer& server);

 private:
  void status(net::CallRef call, std::string_view message);
  void alarm(net::CallRef call, std::string_view message);
  void hash(net::CallRef call, std::string_view message);
  void hash_kv(net::CallRef call, std::string_view message);

  ReaderPool& readers_;
};

}  // namespace etcdpp::server
