#include <doctest/doctest.h>

#include <string>

#include <etcdpp/lease/errc.h>
#include <etcdpp/mvcc/errc.h>

#include "../errc.h"
#include "interceptors.h"
#include "status_map.h"

using namespace etcdpp;
using net::StatusCode;

TEST_CASE("status map: every error of the server has a text and a code of its own choosing") {
  int known = 0;
  for (int value = 1; value < 200; ++value) {
    const auto error = static_cast<server::Errc>(value);
    const std::string text = make_error_code(error).message();
    if (text == "unknown server error") break;
    const net::Status status = server::status_of(base::Error(error, "context is for the log"));
    CHECK(!status.ok());
    CHECK(status.message == text);
    ++known;
  }
  CHECK(known == static_cast<int>(server::Errc::kUserEmpty));
}

TEST_CASE("status map: what clients match on") {
  const auto is = [](const base::Error& error, StatusCode code, const char* text) {
    const net::Status status = server::status_of(error);
    CHECK(status.code == code);
    CHECK(status.message == text);
  };
  is(mvcc::Errc::kCompacted, StatusCode::kOutOfRange, "etcdserver: mvcc: required revision has been compacted");
  is(mvcc::Errc::kFutureRevision, StatusCode::kOutOfRange, "etcdserver: mvcc: required revision is a future revision");
  is(lease::Errc::kNotFound, StatusCode::kNotFound, "etcdserver: requested lease not found");
  is(lease::Errc::kAlreadyExists, StatusCode::kFailedPrecondition, "etcdserver: lease already exists");
  is(lease::Errc::kTtlTooLarge, StatusCode::kOutOfRange, "etcdserver: too large lease TTL");
  is(server::Errc::kTooManyRequests, StatusCode::kUnknown, "etcdserver: too many requests");
  is(server::Errc::kNoSpace, StatusCode::kResourceExhausted, "etcdserver: mvcc: database space exceeded");
  is(server::Errc::kContextDeadline, StatusCode::kDeadlineExceeded, "context deadline exceeded");
  is(base::errno_error(5, "disk"), StatusCode::kUnknown, "Input/output error: disk");
}

TEST_CASE("interceptors: UTF-8 as Go judges it") {
  for (const char* good : {"", "3.7.1", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) CHECK(server::is_utf8(good));
  for (const char* bad : {"\xff", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\x80"}) CHECK(!server::is_utf8(bad));
}
