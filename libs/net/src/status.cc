#include <etcdpp/net/status.h>

#include <array>

namespace etcdpp::net {

std::string_view status_code_name(StatusCode code) {
  static constexpr std::array<std::string_view, kStatusCodes> kNames = {
      "OK",           "Canceled",          "Unknown",           "InvalidArgument", "DeadlineExceeded", "NotFound",
      "AlreadyExists", "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted",       "OutOfRange",
      "Unimplemented", "Internal",         "Unavailable",       "DataLoss",        "Unauthenticated"};
  const auto i = static_cast<std::size_t>(code);
  return i < kNames.size() ? kNames[i] : "Unknown";
}

}  // namespace etcdpp::net
