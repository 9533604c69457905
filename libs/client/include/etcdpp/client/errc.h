#pragma once

#include <string>
#include <system_error>

#include <etcdpp/base/result.h>

namespace etcdpp::client {

/// What goes wrong before a call leaves: the address list, the files of TLS, the options.
enum class Errc {
  kNoEndpoints = 1,  ///< the list of endpoints is empty
  kBadEndpoint,      ///< an endpoint is not host:port, http(s)://host:port or unix(s):path
  kTlsFile,          ///< a certificate, key or CA file cannot be read
  kClosed,           ///< the stream was closed by its owner
  kLeaseExpired,     ///< the lease is gone: revoked, expired, or not renewed in time
};

/// The codes of gRPC, by its numbers. The Error's context is the description that the server gave, which is etcd's
/// error text ("etcdserver: requested lease not found").
enum class StatusCode {
  kOk = 0,
  kCanceled = 1,
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

std::error_code make_error_code(Errc e);
std::error_code make_error_code(StatusCode e);

/// True if the error came from a call, with a gRPC status; false if from this library or the system.
bool is_status(const base::Error& error);

/// What a person is shown: the bare description of a status, or the whole message of any other error.
std::string description(const base::Error& error);

/// As Go's client prints a status in logs: "rpc error: code = Unavailable desc = etcdserver: no leader".
std::string status_text(const base::Error& error);

}  // namespace etcdpp::client

template <>
struct std::is_error_code_enum<etcdpp::client::Errc> : std::true_type {};
template <>
struct std::is_error_code_enum<etcdpp::client::StatusCode> : std::true_type {};
