#include "retry.h"

#include <etcdpp/client/errc.h>

namespace etcdpp::client {

bool may_retry(RetryRule rule, const base::Error& error) {
  return rule == RetryRule::kReadOnly && error.code == StatusCode::kUnavailable;
}

bool wants_new_token(const base::Error& error) {
  return is_status(error) && (error.context == "etcdserver: invalid auth token" ||
                              error.context == "etcdserver: revision of auth store is old");
}

bool stream_may_resume(const base::Error& error) {
  if (error.context == "etcdserver: no leader") return false;
  return error.code == StatusCode::kUnavailable || error.code == StatusCode::kInternal;
}

std::chrono::milliseconds wait_before_attempt(unsigned attempt, std::size_t endpoints, std::chrono::milliseconds wait,
                                              base::Random& random) {
  const std::size_t majority = endpoints / 2 + 1;
  if (attempt % majority != 0) return std::chrono::milliseconds(0);
  const auto tenth = static_cast<std::uint64_t>(wait.count()) / 10;
  return wait - std::chrono::milliseconds(tenth) + std::chrono::milliseconds(random.below(2 * tenth + 1));
}

}  // namespace etcdpp::client
