#include "conf_state_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace etcdpp::server {

std::string conf_state_json(const raft::ConfState& state) {
  std::string out = "{";
  const auto add = [&out](const char* name, const std::vector<raft::NodeId>& ids) {
    if (!ids.empty()) out += fmt::format("\"{}\":[{}],", name, fmt::join(ids, ","));
  };
  add("voters", state.voters);
  add("learners", state.learners);
  add("voters_outgoing", state.voters_outgoing);
  add("learners_next", state.learners_next);
  return out + (state.auto_leave ? "\"auto_leave\":true}" : "\"auto_leave\":false}");
}

}  // namespace etcdpp::server
