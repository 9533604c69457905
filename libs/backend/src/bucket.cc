#include <etcdpp/backend/bucket.h>

namespace etcdpp::backend {

std::string_view bucket_name(Bucket bucket) {
  switch (bucket) {
    case Bucket::kAlarm: return "alarm";
    case Bucket::kAuth: return "auth";
    case Bucket::kAuthRoles: return "authRoles";
    case Bucket::kAuthUsers: return "authUsers";
    case Bucket::kCluster: return "cluster";
    case Bucket::kKey: return "key";
    case Bucket::kLease: return "lease";
    case Bucket::kMembers: return "members";
    case Bucket::kMembersRemoved: return "members_removed";
    case Bucket::kMeta: return "meta";
  }
  return "?";
}

std::optional<Bucket> bucket_named(std::string_view name) {
  for (const Bucket bucket : kBuckets)
    if (bucket_name(bucket) == name) return bucket;
  return std::nullopt;
}

}  // namespace etcdpp::backend
