#include <etcdpp/mvcc/errc.h>

#include <string>

namespace etcdpp::mvcc {
namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "mvcc"; }
  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::kCompacted: return "mvcc: required revision has been compacted";
      case Errc::kFutureRevision: return "mvcc: required revision is a future revision";
      case Errc::kBadRowKey: return "mvcc: a row key of bucket key is no revision";
      case Errc::kBadRow: return "mvcc: a row of bucket key is no KeyValue";
      case Errc::kRowMissing: return "mvcc: a row that the index knows is neither buffered nor in the database";
    }
    return "mvcc: unknown error";
  }
};

}  // namespace

const std::error_category& mvcc_category() noexcept {
  static const Category category;
  return category;
}

}  // namespace etcdpp::mvcc
