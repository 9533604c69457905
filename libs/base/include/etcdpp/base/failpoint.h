#pragma once

#include <string_view>

namespace etcdpp::base {

/// Named places where a test may make the daemon sleep or end; in a release build the places are compiled out (preset
/// `failpoints` has them). Names are those of etcd's gofail points, terms a subset of gofail's: "off", "panic",
/// "sleep(100)" (milliseconds), "3*panic" (the third time on, once) (docs/TESTING.md).
///
/// Threads: any.

/// Does what was set for the name: nothing, sleep, or end the process as a crash would.
void reach_failpoint(std::string_view name);
/// False when the term is not understood; nothing changes then.
bool set_failpoint(std::string_view name, std::string_view term);
/// "name=term;name=term", as in the variable GOFAIL_FAILPOINTS; false at the first that is not understood.
bool set_failpoints(std::string_view list);

}  // namespace etcdpp::base

#ifdef ETCDPP_FAILPOINTS
#define ETCDPP_FAILPOINT(name) ::etcdpp::base::reach_failpoint(name)
#else
#define ETCDPP_FAILPOINT(name) static_cast<void>(0)
#endif
