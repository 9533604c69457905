#pragma once

#include <system_error>

namespace etcdpp::proto {

/// Why bytes are not the message they should be.
enum class Errc {
  /// Not protobuf, or a value that no sender may write.
  kMalformed = 1,
};

std::error_code make_error_code(Errc);

}  // namespace etcdpp::proto

template <>
struct std::is_error_code_enum<etcdpp::proto::Errc> : std::true_type {};
