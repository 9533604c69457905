#pragma once

#include <etcdpp/base/result.h>
#include <etcdpp/config/config.h>

namespace etcdpp::config {

/// kNotSupportedYet for the first flag that this build knows but does nothing with, if it is set to anything other than its
/// default; the context names the flag and its value. The one table is in supported.cc.
base::Result<> check_supported(const Config& config);

}  // namespace etcdpp::config
