#include <etcdpp/client/errc.h>

namespace etcdpp::client {
namespace {

class ClientCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "client"; }
  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::kNoEndpoints:
        return "etcdclient: no available endpoints";
      case Errc::kBadEndpoint:
        return "bad endpoint";
      case Errc::kTlsFile:
        return "cannot read TLS file";
      case Errc::kClosed:
        return "stream closed";
      case Errc::kLeaseExpired:
        return "etcdserver: requested lease not found";
    }
    return "unknown client error " + std::to_string(code);
  }
};

class StatusCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "grpc"; }
  std::string message(int code) const override {
    static constexpr const char* kNames[] = {
        "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
        "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
        "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
        "DataLoss", "Unauthenticated"};
    if (code >= 0 && code < static_cast<int>(std::size(kNames))) return kNames[code];
    return "Code(" + std::to_string(code) + ")";
  }
};

const StatusCategory& status_category() {
  static const StatusCategory category;
  return category;
}

}  // namespace

std::error_code make_error_code(Errc e) {
  static const ClientCategory category;
  return {static_cast<int>(e), category};
}

std::error_code make_error_code(StatusCode e) {
  return {static_cast<int>(e), status_category()};
}

bool is_status(const base::Error& error) {
  return error.code.category() == status_category();
}

std::string description(const base::Error& error) {
  return is_status(error) ? error.context : error.message();
}

std::string status_text(const base::Error& error) {
  if (!is_status(error)) return error.message();
  return "rpc error: code = " + error.code.message() + " desc = " + error.context;
}

}  // namespace etcdpp::client
