#pragma once

#include <string>
#include <string_view>

#include <etcdpp/base/result.h>
#include <etcdpp/config/config.h>

namespace etcdpp::config {

/// Reads the text of a `--config-file` (YAML, hence also JSON) into `config`. Keys are flag names; durations are integers
/// of nanoseconds; unknown keys are passed over, as in etcd. The error names the key.
base::Result<> read_config_file(std::string_view text, Config& config);

}  // namespace etcdpp::config
