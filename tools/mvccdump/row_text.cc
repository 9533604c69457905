#include "row_text.h"

#include <authpb/auth.pb.h>
#include <etcdserverpb/rpc.pb.h>
#include <leasepb/lease.pb.h>

#include <etcdpp/mvcc/compaction.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/revision.h>

#include "key_rows.h"
#include "message_parse.h"
#include "printer.h"

namespace etcdpp::mvccdump {

namespace {

using backend::Bucket;

RowText as_bytes(base::BytesView key, base::BytesView value) { return {in_quotes(key), "0x" + base::hex(value), false}; }

std::string permission_name(authpb::Permission_Type type) {
  switch (type) {
    case authpb::Permission::READ: return "READ";
    case authpb::Permission::WRITE: return "WRITE";
    case authpb::Permission::READWRITE: return "READWRITE";
    default: return std::to_string(static_cast<int>(type));
  }
}

std::string key_value_text(const mvcc::RowKey& row, const mvcc::KeyValue& kv) {
  if (row.tombstone) return "tombstone key=" + in_quotes(kv.key);
  return "put key=" + in_quotes(kv.key) + " create=" + std::to_string(kv.create_revision) +
         " mod=" + std::to_string(kv.mod_revision) + " version=" + std::to_string(kv.version) +
         " lease=" + base::hex(static_cast<std::uint64_t>(kv.lease)) + " value(" + std::to_string(kv.value.size()) +
         ")=" + in_quotes(kv.value);
}

RowText key_row(base::BytesView key, base::BytesView value) {
  const auto row = mvcc::decode_row_key(key);
  const auto kv = mvcc::decode_key_value(value);
  if (!row || !kv) return {"0x" + base::hex(key), "0x" + base::hex(value), false};
  return {revision_text(row->revision), key_value_text(*row, *kv)};
}

RowText meta_row(base::BytesView key, base::BytesView value) {
  if (key == backend::meta_key::kConsistentIndex || key == backend::meta_key::kTerm) {
    if (value.size() != 8) return as_bytes(key, value);
    return {in_quotes(key), std::to_string(base::get_be64(value.data()))};
  }
  if (key == mvcc::kScheduledCompactRevKey || key == mvcc::kFinishedCompactRevKey) {
    const auto row = mvcc::decode_row_key(value);
    if (!row) return as_bytes(key, value);
    return {in_quotes(key), revision_text(row->revision)};
  }
  return {in_quotes(key), in_quotes(value)};
}

RowText lease_row(base::BytesView key, base::BytesView value) {
  leasepb::Lease lease;
  if (key.size() != 8 || !parse(value, lease)) return as_bytes(key, value);
  return {base::hex(key), "ttl=" + std::to_string(lease.ttl()) + " remaining_ttl=" + std::to_string(lease.remainingttl())};
}

RowText alarm_row(base::BytesView key, base::BytesView value) {
  etcdserverpb::AlarmMember alarm;
  if (!parse(key, alarm)) return as_bytes(key, value);
  return {"member=" + base::hex(alarm.memberid()), etcdserverpb::AlarmType_Name(alarm.alarm())};
}

RowText auth_row(base::BytesView key, base::BytesView value) {
  if (key == "authEnabled" && value.size() == 1) return {in_quotes(key), value[0] == 1 ? "true" : "false"};
  if (key == "authRevision" && value.size() == 8) return {in_quotes(key), std::to_string(base::get_be64(value.data()))};
  return as_bytes(key, value);
}

// A password hash is not for a terminal; -o json has the bytes.
RowText user_row(base::BytesView key, base::BytesView value) {
  authpb::User user;
  if (!parse(value, user)) return as_bytes(key, value);
  std::string text = "roles=[";
  for (int i = 0; i < user.roles_size(); ++i) text += (i ? " " : "") + in_quotes(user.roles(i));
  text += "] password=" + std::to_string(user.password().size()) + " bytes";
  if (user.options().no_password()) text += " no_password";
  return {in_quotes(key), text};
}

RowText role_row(base::BytesView key, base::BytesView value) {
  authpb::Role role;
  if (!parse(value, role)) return as_bytes(key, value);
  std::string text = "permissions=[";
  for (int i = 0; i < role.keypermission_size(); ++i) {
    const auto& permission = role.keypermission(i);
    text += (i ? " " : "") + permission_name(permission.permtype()) + " " + in_quotes(permission.key());
    if (!permission.range_end().empty()) text += ".." + in_quotes(permission.range_end());
  }
  return {in_quotes(key), text + "]"};
}

}  // namespace

RowText row_text(Bucket bucket, base::BytesView key, base::BytesView value) {
  switch (bucket) {
    case Bucket::kKey: return key_row(key, value);
    case Bucket::kMeta: return meta_row(key, value);
    case Bucket::kLease: return lease_row(key, value);
    case Bucket::kAlarm: return alarm_row(key, value);
    case Bucket::kAuth: return auth_row(key, value);
    case Bucket::kAuthUsers: return user_row(key, value);
    case Bucket::kAuthRoles: return role_row(key, value);
    case Bucket::kCluster:
    case Bucket::kMembers:
    case Bucket::kMembersRemoved: break;
  }
  return {in_quotes(key), in_quotes(value)};
}

}  // namespace etcdpp::mvccdump
