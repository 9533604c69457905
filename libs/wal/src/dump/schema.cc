#include "schema.h"

#include <algorithm>

namespace etcdpp::wal {

namespace {

using enum FieldKind;

constexpr EnumValue kSortOrders[] = {{0, "NONE"}, {1, "ASCEND"}, {2, "DESCEND"}};
constexpr EnumValue kSortTargets[] = {{0, "KEY"}, {1, "VERSION"}, {2, "CREATE"}, {3, "MOD"}, {4, "VALUE"}};
constexpr EnumValue kCompareResults[] = {{0, "EQUAL"}, {1, "GREATER"}, {2, "LESS"}, {3, "NOT_EQUAL"}};
constexpr EnumValue kCompareTargets[] = {{0, "VERSION"}, {1, "CREATE"}, {2, "MOD"}, {3, "VALUE"}, {4, "LEASE"}};
constexpr EnumValue kAlarmActions[] = {{0, "GET"}, {1, "ACTIVATE"}, {2, "DEACTIVATE"}};
constexpr EnumValue kAlarms[] = {{0, "NONE"}, {1, "NOSPACE"}, {2, "CORRUPT"}};
constexpr EnumValue kPermissions[] = {{0, "READ"}, {1, "WRITE"}, {2, "READWRITE"}};
constexpr EnumValue kConfChanges[] = {
    {0, "ConfChangeAddNode"}, {1, "ConfChangeRemoveNode"}, {2, "ConfChangeUpdateNode"}, {3, "ConfChangeAddLearnerNode"}};
constexpr EnumValue kTransitions[] = {
    {0, "ConfChangeTransitionAuto"}, {1, "ConfChangeTransitionJointImplicit"}, {2, "ConfChangeTransitionJointExplicit"}};

constexpr Field enumeration(std::uint32_t number, const char* name, std::span<const EnumValue> values, bool shown_when_absent = false) {
  return {number, name, kEnum, false, shown_when_absent, nullptr, values};
}
constexpr Field message(std::uint32_t number, const char* name, const MessageType& type, bool repeated = false, EtcdVersion since = 300) {
  return {number, name, kMessage, repeated, false, &type, {}, since};
}
constexpr Field since(EtcdVersion version, Field field) {
  field.since = version;
  return field;
}

extern const MessageType kTxn;

constexpr Field kNone[] = {{0, "", kBytes}};
constexpr MessageType kEmpty{"", std::span(kNone, 0)};

constexpr Field kHeaderFields[] = {{1, "ID", kId}, {2, "username", kText}, since(301, {3, "auth_revision", kUnsigned})};
constexpr MessageType kHeader{"RequestHeader", kHeaderFields};

constexpr Field kRangeFields[] = {{1, "key", kBytes},
                                  {2, "range_end", kBytes},
                                  {3, "limit", kSigned},
                                  {4, "revision", kSigned},
                                  enumeration(5, "sort_order", kSortOrders),
                                  enumeration(6, "sort_target", kSortTargets),
                                  {7, "serializable", kBool},
                                  {8, "keys_only", kBool},
                                  {9, "count_only", kBool},
                                  since(301, {10, "min_mod_revision", kSigned}),
                                  since(301, {11, "max_mod_revision", kSigned}),
                                  since(301, {12, "min_create_revision", kSigned}),
                                  since(301, {13, "max_create_revision", kSigned})};
constexpr MessageType kRange{"RangeRequest", kRangeFields};

constexpr Field kPutFields[] = {{1, "key", kBytes},
                                {2, "value", kBytes},
                                {3, "lease", kId},
                                since(301, {4, "prev_kv", kBool}),
                                since(302, {5, "ignore_value", kBool}),
                                since(302, {6, "ignore_lease", kBool})};
constexpr MessageType kPut{"PutRequest", kPutFields};

constexpr Field kDeleteRangeFields[] = {{1, "key", kBytes}, {2, "range_end", kBytes}, since(301, {3, "prev_kv", kBool})};
constexpr MessageType kDeleteRange{"DeleteRangeRequest", kDeleteRangeFields};

constexpr Field kCompareFields[] = {enumeration(1, "result", kCompareResults, true),
                                    enumeration(2, "target", kCompareTargets, true),
                                    {3, "key", kBytes},
                                    {4, "version", kSigned},
                                    {5, "create_revision", kSigned},
                                    {6, "mod_revision", kSigned},
                                    {7, "value", kBytes},
                                    since(303, {8, "lease", kId}),
                                    since(303, {64, "range_end", kBytes})};
constexpr MessageType kCompare{"Compare", kCompareFields};

constexpr Field kOperationFields[] = {message(1, "request_range", kRange), message(2, "request_put", kPut),
                                      message(3, "request_delete_range", kDeleteRange), message(4, "request_txn", kTxn, false, 303)};
constexpr MessageType kOperation{"RequestOp", kOperationFields};

constexpr Field kTxnFields[] = {message(1, "compare", kCompare, true), message(2, "success", kOperation, true),
                                message(3, "failure", kOperation, true)};
const MessageType kTxn{"TxnRequest", kTxnFields};

constexpr Field kCompactionFields[] = {{1, "revision", kSigned}, {2, "physical", kBool}};
constexpr MessageType kCompaction{"CompactionRequest", kCompactionFields};

constexpr Field kLeaseGrantFields[] = {{1, "TTL", kSigned}, {2, "ID", kId}};
constexpr MessageType kLeaseGrant{"LeaseGrantRequest", kLeaseGrantFields};
constexpr Field kLeaseRevokeFields[] = {{1, "ID", kId}};
constexpr MessageType kLeaseRevoke{"LeaseRevokeRequest", kLeaseRevokeFields};
constexpr Field kCheckpointFields[] = {{1, "ID", kId}, {2, "remaining_TTL", kSigned}};
constexpr MessageType kCheckpoint{"LeaseCheckpoint", kCheckpointFields, 304};
constexpr Field kLeaseCheckpointFields[] = {message(1, "checkpoints", kCheckpoint, true)};
constexpr MessageType kLeaseCheckpoint{"LeaseCheckpointRequest", kLeaseCheckpointFields, 304};

constexpr Field kAlarmFields[] = {enumeration(1, "action", kAlarmActions, true), {2, "memberID", kId}, enumeration(3, "alarm", kAlarms, true)};
constexpr MessageType kAlarm{"AlarmRequest", kAlarmFields};

constexpr MessageType kAuthStatus{"AuthStatusRequest", std::span(kNone, 0), 305};
constexpr Field kAuthenticateFields[] = {{1, "name", kText}, {2, "password", kSecret}, {3, "simple_token", kSecret}};
constexpr MessageType kAuthenticate{"InternalAuthenticateRequest", kAuthenticateFields};

constexpr Field kUserOptionsFields[] = {{1, "no_password", kBool}};
constexpr MessageType kUserOptions{"UserAddOptions", kUserOptionsFields};
constexpr Field kUserAddFields[] = {{1, "name", kText}, {2, "password", kSecret}, message(3, "options", kUserOptions, false, 304), since(305, {4, "hashedPassword", kSecret})};
constexpr MessageType kUserAdd{"AuthUserAddRequest", kUserAddFields};
constexpr Field kNameFields[] = {{1, "name", kText}};
constexpr MessageType kUserDelete{"AuthUserDeleteRequest", kNameFields};
constexpr MessageType kUserGet{"AuthUserGetRequest", kNameFields};
constexpr Field kChangePasswordFields[] = {{1, "name", kText}, {2, "password", kSecret}, since(305, {3, "hashedPassword", kSecret})};
constexpr MessageType kChangePassword{"AuthUserChangePasswordRequest", kChangePasswordFields};
constexpr Field kGrantRoleFields[] = {{1, "user", kText}, {2, "role", kText}};
constexpr MessageType kGrantRole{"AuthUserGrantRoleRequest", kGrantRoleFields};
constexpr Field kRevokeRoleFields[] = {{1, "name", kText}, {2, "role", kText}};
constexpr MessageType kRevokeRole{"AuthUserRevokeRoleRequest", kRevokeRoleFields};
constexpr MessageType kRoleAdd{"AuthRoleAddRequest", kNameFields};
constexpr Field kRoleFields[] = {{1, "role", kText}};
constexpr MessageType kRoleDelete{"AuthRoleDeleteRequest", kRoleFields};
constexpr MessageType kRoleGet{"AuthRoleGetRequest", kRoleFields};
constexpr Field kPermissionFields[] = {enumeration(1, "permType", kPermissions, true), {2, "key", kBytes}, {3, "range_end", kBytes}};
constexpr MessageType kPermission{"Permission", kPermissionFields};
constexpr Field kGrantPermissionFields[] = {{1, "name", kText}, message(2, "perm", kPermission)};
constexpr MessageType kGrantPermission{"AuthRoleGrantPermissionRequest", kGrantPermissionFields};
constexpr Field kRevokePermissionFields[] = {{1, "role", kText}, {2, "key", kBytes}, {3, "range_end", kBytes}};
constexpr MessageType kRevokePermission{"AuthRoleRevokePermissionRequest", kRevokePermissionFields};

constexpr Field kVersionFields[] = {{1, "ver", kText}};
constexpr MessageType kVersionSet{"ClusterVersionSetRequest", kVersionFields, 305};
constexpr Field kAttributesFields[] = {{1, "name", kText}, {2, "client_urls", kText, true}};
constexpr MessageType kAttributes{"Attributes", kAttributesFields, 305};
constexpr Field kMemberAttributesFields[] = {{1, "member_ID", kId}, message(2, "member_attributes", kAttributes)};
constexpr MessageType kMemberAttributesSet{"ClusterMemberAttrSetRequest", kMemberAttributesFields, 305};
constexpr Field kDowngradeInfoFields[] = {{1, "enabled", kBool}, {2, "ver", kText}};
constexpr MessageType kDowngradeInfoSet{"DowngradeInfoSetRequest", kDowngradeInfoFields, 305};
constexpr MessageType kDowngradeVersionTest{"DowngradeVersionTestRequest", kVersionFields, 306};

constexpr Field kRequestFields[] = {{kRequestIdField, "ID", kId},
                                    message(3, "range", kRange),
                                    message(4, "put", kPut),
                                    message(5, "delete_range", kDeleteRange),
                                    message(6, "txn", kTxn),
                                    message(7, "compaction", kCompaction),
                                    message(8, "lease_grant", kLeaseGrant),
                                    message(9, "lease_revoke", kLeaseRevoke),
                                    message(10, "alarm", kAlarm),
                                    message(11, "lease_checkpoint", kLeaseCheckpoint, false, 304),
                                    message(kRequestHeaderField, "header", kHeader),
                                    message(1000, "auth_enable", kEmpty),
                                    message(1011, "auth_disable", kEmpty),
                                    message(1012, "authenticate", kAuthenticate),
                                    message(1013, "auth_status", kAuthStatus, false, 305),
                                    message(1100, "auth_user_add", kUserAdd),
                                    message(1101, "auth_user_delete", kUserDelete),
                                    message(1102, "auth_user_get", kUserGet),
                                    message(1103, "auth_user_change_password", kChangePassword),
                                    message(1104, "auth_user_grant_role", kGrantRole),
                                    message(1105, "auth_user_revoke_role", kRevokeRole),
                                    message(1106, "auth_user_list", kEmpty),
                                    message(1107, "auth_role_list", kEmpty),
                                    message(1200, "auth_role_add", kRoleAdd),
                                    message(1201, "auth_role_delete", kRoleDelete),
                                    message(1202, "auth_role_get", kRoleGet),
                                    message(1203, "auth_role_grant_permission", kGrantPermission),
                                    message(1204, "auth_role_revoke_permission", kRevokePermission),
                                    message(1300, "cluster_version_set", kVersionSet, false, 305),
                                    message(1301, "cluster_member_attr_set", kMemberAttributesSet, false, 305),
                                    message(1302, "downgrade_info_set", kDowngradeInfoSet, false, 305),
                                    message(9900, "downgrade_version_test", kDowngradeVersionTest, false, 306)};

constexpr Field kMetadataFields[] = {{1, "NodeID", kId}, {2, "ClusterID", kId}};
constexpr Field kHardStateFields[] = {{1, "term", kUnsigned}, {2, "vote", kId}, {3, "commit", kUnsigned}};
constexpr Field kConfStateFields[] = {{1, "voters", kId, true},
                                      {2, "learners", kId, true},
                                      {3, "voters_outgoing", kId, true},
                                      {4, "learners_next", kId, true},
                                      {5, "auto_leave", kBool}};
constexpr MessageType kConfState{"ConfState", kConfStateFields};
constexpr Field kMarkerFields[] = {{1, "index", kUnsigned}, {2, "term", kUnsigned}, message(3, "conf_state", kConfState)};
constexpr Field kConfChangeFields[] = {{1, "id", kId}, enumeration(2, "type", kConfChanges, true), {3, "node_id", kId}, {4, "context", kBytes}};
constexpr Field kConfChangeSingleFields[] = {enumeration(1, "type", kConfChanges, true), {2, "node_id", kId}};
constexpr MessageType kConfChangeSingle{"ConfChangeSingle", kConfChangeSingleFields};
constexpr Field kConfChangeV2Fields[] = {enumeration(1, "transition", kTransitions), message(2, "changes", kConfChangeSingle, true), {3, "context", kBytes}};

}  // namespace

const MessageType kMetadataType{"Metadata", kMetadataFields};
const MessageType kHardStateType{"HardState", kHardStateFields};
const MessageType kSnapshotMarkerType{"Snapshot", kMarkerFields};
const MessageType kConfChangeType{"ConfChange", kConfChangeFields};
const MessageType kConfChangeV2Type{"ConfChangeV2", kConfChangeV2Fields, 304};
const MessageType kRequestType{"InternalRaftRequest", kRequestFields};

const Field* MessageType::find(std::uint32_t number) const {
  // Fields are few and in order; the requests' own numbers are the longest list.
  const auto at = std::lower_bound(fields.begin(), fields.end(), number, [](const Field& field, std::uint32_t n) { return field.number < n; });
  return at != fields.end() && at->number == number ? &*at : nullptr;
}

std::string_view enum_name(const Field& field, std::int64_t value) {
  for (const EnumValue& each : field.values)
    if (each.number == value) return each.name;
  return {};
}

}  // namespace etcdpp::wal
