#include "auth_model.h"

#include <algorithm>

#include <etcdpp/proto/wire.h>

namespace etcdpp::wal {

namespace {

constexpr std::string_view kRoot = "root";
constexpr base::BytesView kToTheEnd("\0", 1);

enum Request : std::uint32_t {
  kEnable = 1000,
  kDisable = 1011,
  kUserAdd = 1100,
  kUserDelete = 1101,
  kUserChangePassword = 1103,
  kUserGrantRole = 1104,
  kUserRevokeRole = 1105,
  kUserList = 1106,
  kRoleList = 1107,
  kRoleAdd = 1200,
  kRoleDelete = 1201,
  kRoleGrantPermission = 1203,
  kRoleRevokePermission = 1204,
};

base::BytesView text_field(base::BytesView body, std::uint32_t number) {
  base::BytesView found;
  proto::WireReader reader(body);
  while (reader.next())
    if (reader.number() == number && reader.is_bytes()) found = reader.bytes();
  return found;
}

// A range with a definite end: one key ends right behind itself.
struct Interval {
  std::string begin;
  std::string end;
  bool endless = false;
};

Interval interval_of(base::BytesView key, base::BytesView range_end) {
  if (range_end.empty()) return {std::string(key), std::string(key) + '\0', false};
  if (range_end == kToTheEnd) return {std::string(key), {}, true};
  return {std::string(key), std::string(range_end), false};
}

}  // namespace

std::string AuthModel::refuses(const EntryView& entry) const {
  if (!enabled_) return {};
  if (entry.user.empty()) return "auth: user name is empty";
  if (entry.auth_revision < revision_) return "auth: revision in header is old";
  if (!users_.contains(entry.user)) return "auth: permission denied";
  return {};
}

bool AuthModel::is_admin(std::string_view user) const {
  if (!enabled_) return true;
  const auto found = users_.find(user);
  return found != users_.end() && found->second.contains(std::string(kRoot));
}

bool AuthModel::may(const EntryView& entry, bool write, base::BytesView key, base::BytesView range_end) const {
  if (is_admin(entry.user)) return true;
  const auto user = users_.find(entry.user);
  if (user == users_.end()) return false;
  // Ranges of several permissions may cover it together.
  std::vector<Interval> allowed;
  for (const std::string& name : user->second) {
    const auto role = roles_.find(name);
    if (role == roles_.end()) continue;
    for (const Permission& permission : role->second)
      if (permission.type == 2 || permission.type == (write ? 1 : 0)) allowed.push_back(interval_of(permission.key, permission.range_end));
  }
  std::sort(allowed.begin(), allowed.end(), [](const Interval& a, const Interval& b) { return a.begin < b.begin; });
  const Interval wanted = interval_of(key, range_end);
  std::string reached = wanted.begin;
  for (const Interval& each : allowed) {
    if (each.begin > reached) break;
    if (each.endless) return true;
    reached = std::max(reached, each.end);
    if (!wanted.endless && reached >= wanted.end) return true;
  }
  return false;
}

std::string AuthModel::apply(const EntryView& entry) {
  const std::uint32_t request = entry.request->number;
  const bool needs_admin = request == kEnable || request == kDisable || (request >= kUserAdd && request <= kRoleRevokePermission && request != 1102 && request != 1202);
  if (needs_admin && enabled_) {
    if (entry.user.empty()) return "auth: user name is empty";
    if (!is_admin(entry.user)) return "auth: permission denied";
  }
  switch (request) {
    case kEnable: {
      const auto root = users_.find(kRoot);
      if (root == users_.end()) return "auth: root user does not exist";
      if (!root->second.contains(std::string(kRoot))) return "auth: root user does not have root role";
      enabled_ = true;
      return {};
    }
    case kDisable:
      if (enabled_) ++revision_;
      enabled_ = false;
      return {};
    case kUserAdd:
    case kUserDelete:
    case kUserChangePassword:
    case kUserGrantRole:
    case kUserRevokeRole: return change_user(request, entry.body);
    case kRoleAdd:
    case kRoleDelete:
    case kRoleGrantPermission:
    case kRoleRevokePermission: return change_role(request, entry.body);
    default: return {};
  }
}

std::string AuthModel::change_user(std::uint32_t request, base::BytesView body) {
  const std::string name(text_field(body, 1));
  const std::string role(text_field(body, 2));
  const auto user = users_.find(name);
  if (request == kUserAdd) {
    if (name.empty()) return "auth: user name is empty";
    if (user != users_.end()) return "auth: user name already exists";
    users_[name];
    ++revision_;
    return {};
  }
  if (request == kUserDelete && enabled_ && name == kRoot) return "auth: invalid auth management";
  if (request == kUserRevokeRole && enabled_ && name == kRoot && role == kRoot) return "auth: invalid auth management";
  if (user == users_.end()) return "auth: user name not found";
  switch (request) {
    case kUserDelete: users_.erase(user); break;
    case kUserGrantRole:
      if (role != kRoot && !roles_.contains(role)) return "auth: role name not found";
      if (!user->second.insert(role).second) return {};  // no change, and the revision stays
      break;
    case kUserRevokeRole:
      if (user->second.erase(role) == 0) return "auth: role is not granted to the user";
      break;
    default: break;
  }
  ++revision_;
  return {};
}

std::string AuthModel::change_role(std::uint32_t request, base::BytesView body) {
  const std::string name(text_field(body, 1));
  const auto role = roles_.find(name);
  if (request == kRoleAdd) {
    if (name.empty()) return "auth: role name is empty";
    if (role != roles_.end()) return "auth: role name already exists";
    roles_[name];
    ++revision_;
    return {};
  }
  if (request == kRoleDelete && enabled_ && name == kRoot) return "auth: invalid auth management";
  if (role == roles_.end()) return "auth: role name not found";
  if (request == kRoleDelete) {
    roles_.erase(role);
    for (auto& [user, granted] : users_) granted.erase(name);
  } else if (request == kRoleGrantPermission) {
    Permission permission;
    proto::WireReader reader(text_field(body, 2));
    while (reader.next()) {
      if (reader.number() == 1 && reader.is_varint()) permission.type = static_cast<int>(reader.varint());
      else if (reader.number() == 2 && reader.is_bytes()) permission.key = reader.bytes();
      else if (reader.number() == 3 && reader.is_bytes()) permission.range_end = reader.bytes();
    }
    const auto same = std::find_if(role->second.begin(), role->second.end(), [&](const Permission& each) {
      return each.key == permission.key && each.range_end == permission.range_end;
    });
    if (same != role->second.end()) same->type = permission.type;
    else role->second.push_back(std::move(permission));
  } else {
    const base::BytesView key = text_field(body, 2);
    const base::BytesView range_end = text_field(body, 3);
    if (std::erase_if(role->second, [&](const Permission& each) { return each.key == key && each.range_end == range_end; }) == 0)
      return "auth: permission is not granted to the role";
  }
  ++revision_;
  return {};
}

}  // namespace etcdpp::wal
