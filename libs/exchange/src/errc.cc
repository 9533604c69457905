#include <etcdpp/exchange/errc.h>

#include <string>

namespace etcdpp::exchange {

namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "exchange"; }
  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::kBadRow: return "etcd's database holds a row that etcd does not write; look at it with mvccdump verify";
      case Errc::kInUse: return "etcd's database was written to while it was read; stop etcd first";
    }
    return "unknown";
  }
};

}  // namespace

std::error_code make_error_code(Errc code) {
  static const Category category;
  return {static_cast<int>(code), category};
}

}  // namespace etcdpp::exchange
