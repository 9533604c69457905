#include "requests.h"

namespace etcdpp::server {

namespace {

void add_alarm(const Alarm& alarm, etcdserverpb::AlarmResponse& response) {
  auto& member = *response.add_alarms();
  member.set_memberid(alarm.member_id);
  member.set_alarm(static_cast<etcdserverpb::AlarmType>(alarm.kind));
}

/// The row's key is the alarm itself.
std::string row_key(const Alarm& alarm) {
  etcdserverpb::AlarmMember member;
  member.set_memberid(alarm.member_id);
  member.set_alarm(static_cast<etcdserverpb::AlarmType>(alarm.kind));
  return member.SerializeAsString();
}

}  // namespace

base::Result<ResponseMessage> apply_alarm(ApplyState& state, const etcdserverpb::AlarmRequest& request) {
  auto response = std::make_unique<etcdserverpb::AlarmResponse>();
  response->mutable_header()->set_revision(state.store.revision());
  const Alarm alarm{request.memberid(), static_cast<AlarmKind>(request.alarm())};
  switch (request.action()) {
    case etcdserverpb::AlarmRequest::GET:
      for (const Alarm& active : state.alarms.list(alarm.kind)) add_alarm(active, *response);
      break;
    case etcdserverpb::AlarmRequest::ACTIVATE:
      if (alarm.kind == AlarmKind::kNone) break;
      if (state.alarms.raise(alarm)) {
        state.backend.buffer().put(backend::Bucket::kAlarm, row_key(alarm), {});
        state.logger.warn("alarm raised", {{"alarm", etcdserverpb::AlarmType_Name(request.alarm())},
                                           {"from", base::hex(alarm.member_id)}});
      }
      add_alarm(alarm, *response);
      break;
    case etcdserverpb::AlarmRequest::DEACTIVATE:
      if (state.alarms.clear(alarm)) {
        state.backend.buffer().erase(backend::Bucket::kAlarm, row_key(alarm));
        add_alarm(alarm, *response);
        state.logger.warn("alarm disarmed", {{"alarm", etcdserverpb::AlarmType_Name(request.alarm())},
                                             {"from", base::hex(alarm.member_id)}});
      }
      break;
    default: break;  // a no-op on every member, as the log must stay applicable
  }
  return ResponseMessage(std::move(response));
}

}  // namespace etcdpp::server
