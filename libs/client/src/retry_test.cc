#include "retry.h"

#include <ostream>

#include <doctest/doctest.h>

#include <etcdpp/client/errc.h>

using namespace etcdpp;
using client::RetryRule;
using client::StatusCode;

TEST_CASE("retry: only reads, and only after Unavailable") {
  const base::Error gone(StatusCode::kUnavailable, "etcdserver: leader changed");
  CHECK(client::may_retry(RetryRule::kReadOnly, gone));
  CHECK_FALSE(client::may_retry(RetryRule::kOnce, gone));
  for (auto code :
       {StatusCode::kInternal, StatusCode::kDeadlineExceeded, StatusCode::kOutOfRange, StatusCode::kUnknown})
    CHECK_FALSE(client::may_retry(RetryRule::kReadOnly, base::Error(code, "x")));
}

TEST_CASE("retry: waits only after a majority of the endpoints was asked") {
  base::Random random(1);
  const std::chrono::milliseconds wait(100);
  // Three endpoints: two make a majority.
  CHECK(client::wait_before_attempt(1, 3, wait, random).count() == 0);
  for (unsigned attempt : {2U, 4U, 6U}) {
    const auto waited = client::wait_before_attempt(attempt, 3, wait, random).count();
    CHECK(waited >= 90);
    CHECK(waited <= 110);
  }
  CHECK(client::wait_before_attempt(1, 1, wait, random).count() >= 90);
}

TEST_CASE("retry: streams come back after a lost connection, not after a refusal") {
  CHECK(client::stream_may_resume(base::Error(StatusCode::kUnavailable, "Socket closed")));
  CHECK(client::stream_may_resume(base::Error(StatusCode::kInternal, "Received RST_STREAM")));
  CHECK_FALSE(client::stream_may_resume(base::Error(StatusCode::kUnavailable, "etcdserver: no leader")));
  CHECK_FALSE(client::stream_may_resume(base::Error(StatusCode::kPermissionDenied, "etcdserver: permission denied")));
}

TEST_CASE("retry: an outdated token is renewed") {
  CHECK(client::wants_new_token(base::Error(StatusCode::kUnauthenticated, "etcdserver: invalid auth token")));
  CHECK_FALSE(client::wants_new_token(base::Error(StatusCode::kPermissionDenied, "etcdserver: permission denied")));
}

TEST_CASE("errors: a status shows its bare description to people and its code to logs") {
  const base::Error error(StatusCode::kNotFound, "etcdserver: requested lease not found");
  CHECK(client::description(error) == "etcdserver: requested lease not found");
  CHECK(client::status_text(error) == "rpc error: code = NotFound desc = etcdserver: requested lease not found");
  CHECK(client::is_status(error));
  CHECK_FALSE(client::is_status(base::Error(client::Errc::kNoEndpoints)));
}
