#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace etcdpp::net {

/// gRPC's status codes, with their numbers on the wire.
enum class StatusCode : std::uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};
inline constexpr unsigned kStatusCodes = 17;

/// The name that etcd's metrics and logs use for it: "OK", "Canceled", "InvalidArgument" …
std::string_view status_code_name(StatusCode code);

/// How a call ended; the message goes to the client as it is.
struct Status {
  StatusCode code = StatusCode::kOk;
  std::string message;

  bool ok() const { return code == StatusCode::kOk; }
};

}  // namespace etcdpp::net
