#pragma once

#include <system_error>

namespace etcdpp::lease {

/// Why a lease call is refused; the texts are etcd's (the API puts "etcdserver: " before the first three).
enum class Errc {
  kNotFound = 1,    ///< requested lease not found
  kAlreadyExists,   ///< lease already exists
  kTtlTooLarge,     ///< too large lease TTL
  kNotPrimary,      ///< not a primary lessor
  kCorruptRow,      ///< a row of the lease bucket that no lessor wrote
};

std::error_code make_error_code(Errc);

}  // namespace etcdpp::lease

template <>
struct std::is_error_code_enum<etcdpp::lease::Errc> : std::true_type {};
