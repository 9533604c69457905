#include <etcdpp/net/errc.h>

#include <string>

namespace etcdpp::net {
namespace {

class NetCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "net"; }
  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::kBadUrl: return "listen URL must be http://ip:port, https://ip:port or unix://path";
      case Errc::kTlsNotConfigured: return "an https or unixs URL needs a certificate";
      case Errc::kTooFewFiles: return "the limit of open files (ulimit -n) leaves none for clients: raise it above 150";
    }
    return "unknown error of net";
  }
};

}  // namespace

const std::error_category& net_category() {
  static const NetCategory category;
  return category;
}

}  // namespace etcdpp::net
