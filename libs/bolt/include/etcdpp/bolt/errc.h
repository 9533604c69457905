#pragma once

#include <system_error>

namespace etcdpp::bolt {

/// Why a bbolt file could not be read or written. The context of the Error names file, page and byte.
enum class Errc {
  /// No meta page in the file is whole.
  kNotADatabase = 1,
  /// A page is not what the tree says, or lies outside of the file.
  kDamaged,
  /// Larger than this reader holds in memory.
  kTooLarge,
  /// The file's owner commits faster than a part of it can be read.
  kBusy,
  /// Rows for the writer are out of order, or no bbolt file could hold them.
  kBadRow,
  /// The writing pass was given other rows than the sizing pass.
  kOtherRows,
  /// The output file is there already.
  kExists,
};

std::error_code make_error_code(Errc code);

}  // namespace etcdpp::bolt

template <>
struct std::is_error_code_enum<etcdpp::bolt::Errc> : std::true_type {};
