#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "families.h"
#include "histogram.h"

namespace etcdserverpb {
class InternalRaftRequest;
}

namespace etcdpp::server {

enum class RequestField : std::uint32_t;

/// What a request is, by etcd's name for it in logs and metrics.
enum class RequestKind : std::uint8_t {
  kUnknown,
  kRange,
  kReadonlyTxn,  ///< never an entry
  kPut,
  kDeleteRange,
  kTxn,
  kCompaction,
  kLeaseGrant,
  kLeaseRevoke,
  kLeaseCheckpoint,
  kAlarm,
  kClusterVersionSet,
  kClusterMemberAttrSet,
};
inline constexpr std::size_t kRequestKinds = static_cast<std::size_t>(RequestKind::kClusterMemberAttrSet) + 1;
std::string_view name_of(RequestKind kind);
RequestKind kind_of(const etcdserverpb::InternalRaftRequest& request);
RequestKind kind_of(RequestField field);

/// How long requests of each kind take, the good ones and the others. Threads: any.
class RequestTimes {
 public:
  explicit RequestTimes(const std::vector<double>& bounds);

  void observe(RequestKind kind, bool success, base::Duration took) { at(kind, success).observe(took); }
  /// One family; kinds that were never seen are not in it, as in etcd. `labels` go with each sample, the kind as `label`.
  void collect(Families& families, std::string_view name, std::string_view help, std::string_view label, const Labels& labels = {}) const;

 private:
  Histogram& at(RequestKind kind, bool success) { return histograms_[static_cast<std::size_t>(kind) * 2 + success]; }
  std::vector<Histogram> histograms_;
};

}  // namespace etcdpp::server
