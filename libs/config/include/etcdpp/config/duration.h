#pragma once

#include <string>
#include <string_view>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/result.h>

namespace etcdpp::config {

/// A duration as Go prints it ("1m0s", "100ms", "0s"): etcd's logs and messages hold them so.
std::string go_duration(base::Duration d);

/// What Go's time.ParseDuration takes: "300ms", "-1.5h", "2h45m", "0".
base::Result<base::Duration> parse_go_duration(std::string_view text);

}  // namespace etcdpp::config
