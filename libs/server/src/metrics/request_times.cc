#include "request_times.h"

#include <algorithm>

#include "../request_codec.h"

namespace etcdpp::server {

std::string_view name_of(RequestKind kind) {
  switch (kind) {
    case RequestKind::kUnknown: break;
    case RequestKind::kRange: return "Range";
    case RequestKind::kReadonlyTxn: return "ReadonlyTxn";
    case RequestKind::kPut: return "Put";
    case RequestKind::kDeleteRange: return "DeleteRange";
    case RequestKind::kTxn: return "Txn";
    case RequestKind::kCompaction: return "Compaction";
    case RequestKind::kLeaseGrant: return "LeaseGrant";
    case RequestKind::kLeaseRevoke: return "LeaseRevoke";
    case RequestKind::kLeaseCheckpoint: return "LeaseCheckpoint";
    case RequestKind::kAlarm: return "Alarm";
    case RequestKind::kClusterVersionSet: return "ClusterVersionSet";
    case RequestKind::kClusterMemberAttrSet: return "ClusterMemberAttrSet";
  }
  return "unknown";
}

RequestKind kind_of(const etcdserverpb::InternalRaftRequest& r) {
  if (r.has_put()) return RequestKind::kPut;
  if (r.has_txn()) return RequestKind::kTxn;
  if (r.has_delete_range()) return RequestKind::kDeleteRange;
  if (r.has_lease_grant()) return RequestKind::kLeaseGrant;
  if (r.has_lease_revoke()) return RequestKind::kLeaseRevoke;
  if (r.has_lease_checkpoint()) return RequestKind::kLeaseCheckpoint;
  if (r.has_compaction()) return RequestKind::kCompaction;
  if (r.has_range()) return RequestKind::kRange;
  if (r.has_alarm()) return RequestKind::kAlarm;
  if (r.has_cluster_version_set()) return RequestKind::kClusterVersionSet;
  if (r.has_cluster_member_attr_set()) return RequestKind::kClusterMemberAttrSet;
  return RequestKind::kUnknown;
}

RequestKind kind_of(RequestField field) {
  switch (field) {
    case RequestField::kPut: return RequestKind::kPut;
    case RequestField::kTxn: return RequestKind::kTxn;
    case RequestField::kDeleteRange: return RequestKind::kDeleteRange;
    case RequestField::kLeaseGrant: return RequestKind::kLeaseGrant;
    case RequestField::kLeaseRevoke: return RequestKind::kLeaseRevoke;
    case RequestField::kLeaseCheckpoint: return RequestKind::kLeaseCheckpoint;
    case RequestField::kCompaction: return RequestKind::kCompaction;
    case RequestField::kRange: return RequestKind::kRange;
    case RequestField::kAlarm: return RequestKind::kAlarm;
    case RequestField::kClusterVersionSet: return RequestKind::kClusterVersionSet;
    case RequestField::kClusterMemberAttrSet: return RequestKind::kClusterMemberAttrSet;
    default: return RequestKind::kUnknown;
  }
}

RequestTimes::RequestTimes(const std::vector<double>& bounds) {
  histograms_.reserve(kRequestKinds * 2);
  for (std::size_t i = 0; i < kRequestKinds * 2; ++i) histograms_.emplace_back(bounds);
}

void RequestTimes::collect(Families& families, std::string_view name, std::string_view help, std::string_view label,
                           const Labels& labels) const {
  for (std::size_t i = 0; i < histograms_.size(); ++i) {
    if (histograms_[i].empty()) continue;
    Labels all = labels;
    if (!label.empty()) all.emplace_back(label, std::string(name_of(static_cast<RequestKind>(i / 2))));
    all.emplace_back("success", i % 2 == 0 ? "false" : "true");
    std::ranges::sort(all, {}, &Labels::value_type::first);
    families.histogram(name, help, histograms_[i], all);
  }
}

}  // namespace etcdpp::server
