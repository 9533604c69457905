#include "row_guess.h"

#include <algorithm>
#include <array>

#include <authpb/auth.pb.h>
#include <etcdserverpb/rpc.pb.h>
#include <leasepb/lease.pb.h>

#include <etcdpp/mvcc/compaction.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/revision.h>

#include "message_parse.h"

namespace etcdpp::mvccdump {

namespace {

using backend::Bucket;

bool among(base::BytesView key, std::initializer_list<base::BytesView> names) {
  return std::find(names.begin(), names.end(), key) != names.end();
}

bool looks_like_member_id(base::BytesView key) {
  return !key.empty() && key.size() <= 16 && key.find_first_not_of("0123456789abcdef") == base::BytesView::npos;
}

bool is_key_row(base::BytesView key, base::BytesView value) {
  const auto at = mvcc::decode_row_key(key);
  if (!at) return false;
  const auto kv = mvcc::decode_key_value(value);
  if (!kv) return false;
  // The row of `snapshot restore --bump-revision` is empty.
  return at->tombstone || value.empty() || kv->mod_revision == at->revision.main;
}

}  // namespace

std::optional<Bucket> guess_bucket(base::BytesView key, base::BytesView value) {
  if (is_key_row(key, value)) return Bucket::kKey;
  namespace meta_key = backend::meta_key;
  if (among(key, {meta_key::kConsistentIndex, meta_key::kTerm, meta_key::kConfState, meta_key::kStorageVersion,
                  mvcc::kScheduledCompactRevKey, mvcc::kFinishedCompactRevKey}))
    return Bucket::kMeta;
  if (among(key, {"authEnabled", "authRevision"})) return Bucket::kAuth;
  if (among(key, {"clusterVersion", "downgrade"})) return Bucket::kCluster;
  if (looks_like_member_id(key) && value == "removed") return Bucket::kMembersRemoved;
  if (looks_like_member_id(key) && value.starts_with('{') && value.ends_with('}')) return Bucket::kMembers;
  if (leasepb::Lease lease; key.size() == 8 && parse(value, lease) && lease.id() != 0 && static_cast<std::uint64_t>(lease.id()) == base::get_be64(key.data()))
    return Bucket::kLease;
  if (etcdserverpb::AlarmMember alarm; value.empty() && parse(key, alarm) && alarm.alarm() != etcdserverpb::NONE) return Bucket::kAlarm;
  // A user has a password or options, a role has neither; fields 2 of both are bytes.
  if (authpb::User user; parse(value, user) && user.name() == key && !key.empty() && (user.has_options() || user.password().starts_with("$2"))) return Bucket::kAuthUsers;
  if (authpb::Role role; parse(value, role) && role.name() == key && !key.empty()) return Bucket::kAuthRoles;
  return std::nullopt;
}

}  // namespace etcdpp::mvccdump
