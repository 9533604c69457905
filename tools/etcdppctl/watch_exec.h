#pragma once

#include <string>
#include <vector>

#include <mvccpb/kv.pb.h>

#include "failure.h"

namespace etcdpp::ctl {

/// Runs a command for one event, with ETCD_WATCH_REVISION, _EVENT_TYPE, _KEY and _VALUE in its environment (the latter
/// three in Go's quotes), and waits for it. The failure is what is told to the user.
Outcome<> run_for_event(const std::vector<std::string>& command, std::int64_t revision, const mvccpb::Event& event);

}  // namespace etcdpp::ctl
