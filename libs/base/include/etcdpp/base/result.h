#pragma once

#include <expected>
#include <string>
#include <system_error>
#include <utility>

namespace etcdpp::base {

/// Why an operation failed: a code of the library that failed, and where it happened.
///
/// The code's text is the one that clients match on where etcd has one; the context names file, offset or index for
/// the operator. Every library has an `enum class Errc` with its own std::error_category, so that a caller compares
/// `error.code == mvcc::Errc::kCompacted` and never looks at text.
struct Error {
  std::error_code code;
  std::string context;

  Error(std::error_code c, std::string where = {}) : code(c), context(std::move(where)) {}
  template <typename Enum>
    requires std::is_error_code_enum_v<Enum>
  Error(Enum e, std::string where = {}) : code(make_error_code(e)), context(std::move(where)) {}

  /// "text" or "text: context".
  std::string message() const { return context.empty() ? code.message() : code.message() + ": " + context; }
};

/// A value, or why there is none. Forgetting to look at one is a warning.
template <typename T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  Result(Error e) : std::expected<T, Error>(std::unexpected(std::move(e))) {}
};

/// The error of the last failed system call, with the path or call it concerns.
Error errno_error(int saved_errno, std::string where);

}  // namespace etcdpp::base

#define ETCDPP_CONCAT_INNER(a, b) a##b
#define ETCDPP_CONCAT(a, b) ETCDPP_CONCAT_INNER(a, b)

/// Returns the error of a Result<>, if it is one, from the calling function.
#define ETCDPP_TRY(expression)                                             \
  do {                                                                     \
    if (auto etcdpp_result = (expression); !etcdpp_result) [[unlikely]]    \
      return ::etcdpp::base::Error(std::move(etcdpp_result.error()));      \
  } while (false)

/// Declares or assigns `target` from a Result, or returns its error.
#define ETCDPP_ASSIGN(target, expression) ETCDPP_ASSIGN_INNER(ETCDPP_CONCAT(etcdpp_result_, __LINE__), target, expression)
#define ETCDPP_ASSIGN_INNER(temporary, target, expression)           \
  auto temporary = (expression);                                     \
  if (!temporary) [[unlikely]]                                       \
    return ::etcdpp::base::Error(std::move(temporary.error()));      \
  target = std::move(*temporary)
