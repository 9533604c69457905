#include <etcdpp/config/errc.h>

#include <string>

namespace etcdpp::config {

namespace {
class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "config"; }
  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::kInvalidUrl: return "invalid URL";
      case Errc::kInvalidInitialCluster: return "invalid initial cluster";
      case Errc::kInvalidFlag: return "invalid flag";
      case Errc::kInvalidFile: return "invalid configuration file";
      case Errc::kInvalidFeatureGate: return "invalid feature gate";
      case Errc::kInvalidConfig: return "invalid configuration";
      case Errc::kNotSupportedYet: return "not supported yet";
      case Errc::kLogOutput: return "cannot log";
    }
    return "unknown configuration error";
  }
};
}  // namespace

std::error_code make_error_code(Errc e) {
  static const Category category;
  return {static_cast<int>(e), category};
}

}  // namespace etcdpp::config
