#pragma once

#include <cstdint>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace etcdpp::server {

/// Alarm kinds by their wire numbers; unknown ones are kept as given.
enum class AlarmKind : int { kNone = 0, kNoSpace = 1, kCorrupt = 2 };

inline std::string_view alarm_name(AlarmKind kind) {
  switch (kind) {
    case AlarmKind::kNoSpace: return "NOSPACE";
    case AlarmKind::kCorrupt: return "CORRUPT";
    default: return "UNKNOWN";
  }
}

/// An alarm raised by or for a member.
struct Alarm {
  std::uint64_t member_id = 0;
  AlarmKind kind = AlarmKind::kNone;
  friend auto operator<=>(const Alarm&, const Alarm&) = default;
};

/// The alarms in force; each is a row of bucket `alarm`.
/// Threads: the apply loop; others read the copy that it publishes.
class Alarms {
 public:
  bool raise(Alarm alarm) { return active_.insert(alarm).second; }
  bool clear(Alarm alarm) { return active_.erase(alarm) != 0; }
  bool any(AlarmKind kind) const {
    for (const Alarm& alarm : active_)
      if (alarm.kind == kind) return true;
    return false;
  }
  /// Of one kind, or all for kNone.
  std::vector<Alarm> list(AlarmKind kind) const {
    std::vector<Alarm> out;
    for (const Alarm& alarm : active_)
      if (kind == AlarmKind::kNone || alarm.kind == kind) out.push_back(alarm);
    return out;
  }
  const std::set<Alarm>& active() const { return active_; }

 private:
  std::set<Alarm> active_;
};

}  // namespace etcdpp::server
