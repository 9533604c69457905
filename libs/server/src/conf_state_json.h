#pragma once

#include <string>

#include <etcdpp/raft/types.h>

namespace etcdpp::server {

/// meta/confState, byte for byte as etcd writes it: {"voters":[1],"learners":[2],…,"auto_leave":false}, empty lists left out.
std::string conf_state_json(const raft::ConfState& state);

}  // namespace etcdpp::server
