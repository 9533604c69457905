#pragma once

/// A named place where a test may make the daemon stop, sleep or fail; nothing at all in a release build.
/// Names are etcd's gofail points (docs/TESTING.md). `ETCDPP_FAILPOINT("walBeforeSync");`
#ifdef ETCDPP_FAILPOINTS
#include <string_view>

namespace etcdpp::base {

/// Does what was set for the name: nothing, sleep, or end the process.
void reach_failpoint(std::string_view name);
/// "sleep(100)", "panic", "off"; false when the term is not understood.
bool set_failpoint(std::string_view name, std::string_view term);

}  // namespace etcdpp::base

#define ETCDPP_FAILPOINT(name) ::etcdpp::base::reach_failpoint(name)
#else
#define ETCDPP_FAILPOINT(name) static_cast<void>(0)
#endif
