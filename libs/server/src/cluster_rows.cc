#include "cluster_rows.h"

#include <etcdpp/base/bytes.h>

#include <etcdserverpb/rpc.pb.h>

#include "errc.h"

namespace etcdpp::server {

namespace {

using backend::Bucket;

constexpr std::string_view kClusterVersionKey = "clusterVersion";
constexpr std::string_view kAuthEnabledKey = "authEnabled";
constexpr std::string_view kAuthRevisionKey = "authRevision";

base::Result<std::uint64_t> parse_hex_id(base::BytesView text) {
  std::uint64_t id = 0;
  if (text.empty() || text.size() > 16) return base::Error(Errc::kBadDataDirectory, "member row without a hexadecimal id");
  for (char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return base::Error(Errc::kBadDataDirectory, "member row without a hexadecimal id");
    id = id << 4 | static_cast<std::uint64_t>(digit);
  }
  return id;
}

}  // namespace

void BackendMembershipRows::put_member(const MemberRecord& member) {
  backend_.buffer().put(Bucket::kMembers, base::hex(member.id), member_json(member));
}

void BackendMembershipRows::remove_member(std::uint64_t id) {
  const std::string key = base::hex(id);
  backend_.buffer().erase(Bucket::kMembers, key);
  backend_.buffer().put(Bucket::kMembersRemoved, key, "removed");
}

void BackendMembershipRows::put_cluster_version(std::string_view version) {
  backend_.buffer().put(Bucket::kCluster, kClusterVersionKey, version);
}

base::Result<ClusterRows> load_cluster_rows(const backend::Backend& backend) {
  ClusterRows rows;
  ETCDPP_TRY(backend.scan_bucket(Bucket::kMembers, [&](base::BytesView, base::BytesView value) -> base::Result<> {
    ETCDPP_ASSIGN(ConfChangeContext context, parse_member_json(value));
    rows.membership.load_member(std::move(context.member));
    return {};
  }));
  ETCDPP_TRY(backend.scan_bucket(Bucket::kMembersRemoved, [&](base::BytesView key, base::BytesView) -> base::Result<> {
    ETCDPP_ASSIGN(const std::uint64_t id, parse_hex_id(key));
    rows.membership.load_removed(id);
    return {};
  }));
  ETCDPP_TRY(backend.scan_bucket(Bucket::kCluster, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
    if (key == kClusterVersionKey) rows.membership.load_cluster_version(std::string(value));
    return {};
  }));
  ETCDPP_TRY(backend.scan_bucket(Bucket::kAlarm, [&](base::BytesView key, base::BytesView) -> base::Result<> {
    etcdserverpb::AlarmMember member;
    if (!member.ParseFromArray(key.data(), static_cast<int>(key.size())))
      return base::Error(Errc::kBadDataDirectory, "alarm row that is no AlarmMember");
    rows.alarms.raise({member.memberid(), static_cast<AlarmKind>(member.alarm())});
    return {};
  }));
  ETCDPP_TRY(backend.scan_bucket(Bucket::kMeta, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
    if (key == backend::meta_key::kStorageVersion) rows.storage_version = value;
    return {};
  }));
  ETCDPP_TRY(backend.scan_bucket(Bucket::kAuth, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
    if (key == kAuthEnabledKey) rows.auth_enabled = value == std::string_view("\x01", 1);
    return {};
  }));
  return rows;
}

void put_fresh_auth_revision(backend::Backend& backend) {
  char one[8];
  base::put_be64(one, 1);
  backend.buffer().put(Bucket::kAuth, kAuthRevisionKey, base::BytesView(one, 8));
}

}  // namespace etcdpp::server
