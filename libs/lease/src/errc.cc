#include <etcdpp/lease/errc.h>

#include <string>

namespace etcdpp::lease {

namespace {
class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "lease"; }
  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::kNotFound: return "requested lease not found";
      case Errc::kAlreadyExists: return "lease already exists";
      case Errc::kTtlTooLarge: return "too large lease TTL";
      case Errc::kNotPrimary: return "not a primary lessor";
      case Errc::kCorruptRow: return "corrupt row in bucket lease";
    }
    return "unknown lease error";
  }
};
}  // namespace

std::error_code make_error_code(Errc e) {
  static const Category category;
  return {static_cast<int>(e), category};
}

}  // namespace etcdpp::lease
