#pragma once

#include <system_error>

namespace etcdpp::exchange {

/// Why a database was not converted.
enum class Errc {
  /// A row that no etcd has written, named in the context.
  kBadRow = 1,
  /// The file was written to while it was read.
  kInUse,
};

std::error_code make_error_code(Errc code);

}  // namespace etcdpp::exchange

template <>
struct std::is_error_code_enum<etcdpp::exchange::Errc> : std::true_type {};
