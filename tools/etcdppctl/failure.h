#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace etcdpp::ctl {

/// Exit codes that scripts around etcdctl look at.
enum ExitCode : int {
  kSuccess = 0,
  kError = 1,          ///< a call failed, an endpoint is unhealthy, an unknown command or flag
  kBadConnection = 2,  ///< the client could not do its part
  kInvalidInput = 3,   ///< a line of txn or watch -i cannot be read
  kBadFeature = 4,     ///< a flag's value is not one of those supported
  kInterrupted = 5,    ///< the server ended the watch
  kBadArgs = 128,
};

/// Why a command ended before its end: the exit code, and the line that follows "Error: " (none if empty, because the
/// command has said it all).
struct Failure {
  int exit_code = kError;
  std::string message;
};

template <class T = void>
using Outcome = std::expected<T, Failure>;

inline std::unexpected<Failure> fail(int exit_code, std::string message) {
  return std::unexpected(Failure{exit_code, std::move(message)});
}

}  // namespace etcdpp::ctl
