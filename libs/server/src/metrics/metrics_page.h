#pragma once

#include <string>

#include "client_versions.h"
#include "families.h"
#include "grpc_metrics.h"

namespace etcdpp::server {

class Member;
class WatchService;

/// What GET /metrics answers: everything that was counted, and what is looked up now, under etcd's names.
///
/// Threads: any; takes some milliseconds, so not an I/O thread's.
class MetricsPage {
 public:
  MetricsPage(Member& member, const WatchService& watch, const GrpcMetrics& grpc, const ClientVersions& versions)
      : member_(member), watch_(watch), grpc_(grpc), versions_(versions) {}

  std::string text() const;

 private:
  void collect_server(Families& families) const;
  void collect_disk(Families& families) const;
  void collect_store(Families& families) const;
  void collect_leases(Families& families) const;
  void collect_process(Families& families) const;

  Member& member_;
  const WatchService& watch_;
  const GrpcMetrics& grpc_;
  const ClientVersions& versions_;
};

}  // namespace etcdpp::server
