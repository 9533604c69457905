#pragma once

#include <system_error>

namespace etcdpp::config {

/// Why a configuration is refused. The context holds the sentence for the operator (etcd's where tools match on it);
/// the code says of which kind it is.
enum class Errc {
  kInvalidUrl = 1,
  kInvalidInitialCluster,
  kInvalidFlag,
  kInvalidFile,
  kInvalidFeatureGate,
  kInvalidConfig,
  kNotSupportedYet,
  kLogOutput,
};

std::error_code make_error_code(Errc);

}  // namespace etcdpp::config

template <>
struct std::is_error_code_enum<etcdpp::config::Errc> : std::true_type {};
