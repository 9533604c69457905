#include <memory>

#include "conf_changer.h"
#include "transcript.h"

namespace etcdpp::raft::transcript {

Script confchange_script() {
  struct State {
    Tracker tracker;
    Index last_index = 0;
  };
  auto state = std::make_shared<State>();
  state->tracker.max_inflight_messages = 10;
  return [state](const Block& block) -> std::string {
    const Index last_index = state->last_index++;
    std::vector<ConfChangeSingle> changes;
    std::string error;
    if (!parse_changes(block.input, changes, error)) return error;
    const ConfChanger changer(state->tracker, last_index);
    base::Result<ConfChanger::Outcome> next = ConfChanger::Outcome{};
    if (block.command == "simple") {
      next = changer.simple(changes);
    } else if (block.command == "enter-joint") {
      const Argument* auto_leave = block.find("autoleave");
      next = changer.enter_joint(auto_leave && !auto_leave->values.empty() && auto_leave->values[0] == "true", changes);
    } else if (block.command == "leave-joint") {
      if (!changes.empty()) return "this command takes no input";
      next = changer.leave_joint();
    } else {
      return "unknown command";
    }
    if (!next) return next.error().context;
    state->tracker.membership = std::move(next->membership);
    state->tracker.progress = std::move(next->progress);
    return state->tracker.membership.describe() + "\n" + state->tracker.progress.describe();
  };
}

}  // namespace etcdpp::raft::transcript
