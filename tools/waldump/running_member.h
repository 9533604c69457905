#pragma once

#include <string>

namespace etcdpp::waldump {

/// Whether some process holds a segment's lock, as a running member does with those that it may still write. Looks only.
bool held_by_a_process(const std::string& path);

}  // namespace etcdpp::waldump
