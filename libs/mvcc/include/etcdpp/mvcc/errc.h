#pragma once

#include <system_error>

namespace etcdpp::mvcc {

/// Why a store operation failed. The first two texts are etcd's, clients match on them.
enum class Errc {
  kCompacted = 1,   ///< The revision lies below the compact revision: start again from a newer one.
  kFutureRevision,  ///< The revision has not happened here yet.
  kBadRowKey,       ///< A row key of bucket `key` that no revision encodes to: the database is damaged or foreign.
  kBadRow,          ///< A row of bucket `key` whose value is not a KeyValue or contradicts its key.
  kRowMissing,      ///< The index knows a row that neither buffers nor database hold: stop the member.
};

const std::error_category& mvcc_category() noexcept;
inline std::error_code make_error_code(Errc e) {
  return {static_cast<int>(e), mvcc_category()};
}

}  // namespace etcdpp::mvcc

template <>
struct std::is_error_code_enum<etcdpp::mvcc::Errc> : std::true_type {};
