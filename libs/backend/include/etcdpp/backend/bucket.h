#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace etcdpp::backend {

/// One of etcd's ten buckets. The number is the byte that stands for the bucket on disk (docs/formats/database.md):
/// it never changes, and the numbers are in the order of the names.
enum class Bucket : std::uint8_t {
  kAlarm = 1,
  kAuth = 2,
  kAuthRoles = 3,
  kAuthUsers = 4,
  kCluster = 5,
  kKey = 6,
  kLease = 7,
  kMembers = 8,
  kMembersRemoved = 9,
  kMeta = 10,
};

/// All buckets in the order of their names, which is the order of Maintenance.Hash.
inline constexpr std::array<Bucket, 10> kBuckets = {
    Bucket::kAlarm, Bucket::kAuth,  Bucket::kAuthRoles, Bucket::kAuthUsers,      Bucket::kCluster,
    Bucket::kKey,   Bucket::kLease, Bucket::kMembers,   Bucket::kMembersRemoved, Bucket::kMeta};

/// The bucket's name in etcd: "alarm", "authRoles", "members_removed"…
std::string_view bucket_name(Bucket bucket);
std::optional<Bucket> bucket_named(std::string_view name);

/// Rows of bucket `meta`: those that the backend itself reads and writes, and the server's. mvcc has those of compaction.
namespace meta_key {
inline constexpr std::string_view kConsistentIndex = "consistent_index";
inline constexpr std::string_view kTerm = "term";
inline constexpr std::string_view kConfState = "confState";
inline constexpr std::string_view kStorageVersion = "storageVersion";
}  // namespace meta_key

}  // namespace etcdpp::backend
