#pragma once

#include <chrono>
#include <cstddef>

#include <etcdpp/base/random.h>
#include <etcdpp/base/result.h>

namespace etcdpp::client {

/// What may be done with a call that failed after it was sent.
enum class RetryRule {
  kReadOnly,  ///< changes nothing: may be sent again
  kOnce,      ///< may have been done: the caller must know
};

/// True if the call may be sent again, to the next endpoint.
bool may_retry(RetryRule rule, const base::Error& error);

/// True if the server no longer knows our token, so that a new one must be asked for.
bool wants_new_token(const base::Error& error);

/// True if a stream that ended this way comes back on another connection.
bool stream_may_resume(const base::Error& error);

/// Wait before attempt number `attempt` (1 = the first repetition): none, but after each majority of endpoints `wait`,
/// give or take a tenth.
std::chrono::milliseconds wait_before_attempt(unsigned attempt, std::size_t endpoints, std::chrono::milliseconds wait,
                                              base::Random& random);

}  // namespace etcdpp::client
