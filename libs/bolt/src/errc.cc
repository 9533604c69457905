#include <etcdpp/bolt/errc.h>

#include <string>

namespace etcdpp::bolt {

namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "bolt"; }
  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::kNotADatabase: return "bolt: not a bbolt database (no meta page is whole)";
      case Errc::kDamaged: return "bolt: the database is damaged";
      case Errc::kTooLarge: return "bolt: larger than can be held in memory";
      case Errc::kBusy: return "bolt: the file is being written too fast to be read; take a copy or a snapshot";
      case Errc::kBadRow: return "bolt: a row that no database can hold";
      case Errc::kOtherRows: return "bolt: the rows changed between sizing and writing";
      case Errc::kExists: return "bolt: the output file exists already";
    }
    return "bolt: unknown error";
  }
};

}  // namespace

std::error_code make_error_code(Errc code) {
  static const Category category;
  return {static_cast<int>(code), category};
}

}  // namespace etcdpp::bolt
