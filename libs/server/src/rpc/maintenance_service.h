#pragma once

#include <atomic>

#include "../reader_pool.h"
#include "health_service.h"
#include "service.h"
#include "snapshot_sender.h"

namespace etcdpp::server {

/// etcdserverpb.Maintenance: state of this member, alarms, hashes, snapshots.
class MaintenanceService : public Service {
 public:
  MaintenanceService(Member& member, ReaderPool& readers, HealthService& health)
      : Service(member), readers_(readers), health_(health), snapshots_(member) {}
  void add_to(net::GrpcServer& server);
  /// Ends the snapshots on their way; while the I/O threads still run.
  void stop() { snapshots_.stop(); }

  /// --bootstrap-defrag-threshold-megabytes: defragments if that much could be given back. While the member serves already.
  void defragment_at_start();
  /// Copies the database into a new file while it is served, with etcd's log lines around. Any thread; `done` in the
  /// commit loop's.
  void begin_defragment(backend::DefragmentDone done);

 private:
  void status(net::CallRef call, std::string_view message);
  void alarm(net::CallRef call, std::string_view message);
  void snapshot(net::CallRef call, std::string_view message);
  void defragment(net::CallRef call, std::string_view message);
  void hash(net::CallRef call, std::string_view message);
  void answer_hash(const std::shared_ptr<net::CallRef>& call, base::Result<std::uint32_t> crc);
  void hash_kv(net::CallRef call, std::string_view message);

  ReaderPool& readers_;
  HealthService& health_;
  SnapshotSender snapshots_;
  std::atomic<int> defragmenting_{0};
};

}  // namespace etcdpp::server
