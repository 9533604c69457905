#include <etcdpp/backend/errc.h>

#include <string>

namespace etcdpp::backend {

namespace {

class BackendCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "backend"; }
  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::kLocked: return "database is in use by another process; stop it or choose another --data-dir";
      case Errc::kNewerFormat: return "database was written by a newer version; start that version, or restore a snapshot";
      case Errc::kOtherMember: return "database belongs to another member or cluster; check --data-dir";
      case Errc::kEtcdDatabase:
        return "data directory holds a database of etcd beside none or another of ours; move one of the two away";
      case Errc::kNotADatabase: return "file is not a database of etcdpp; move it away or choose another --data-dir";
      case Errc::kDamaged:
        return "database is damaged; move its directory away and rejoin the cluster, or restore a snapshot";
      case Errc::kNoSpace: return "no space for the database; free disk space or raise its limit";
      case Errc::kCorrupt: return "database is corrupt; inspect it with mvccdump, then rejoin the cluster or restore a snapshot";
      case Errc::kTooManyReaders: return "too many read transactions at once";
      case Errc::kCancelled: return "defragmentation was cancelled";
      case Errc::kEngine: return "database engine failed";
    }
    return "unknown";
  }
};

}  // namespace

std::error_code make_error_code(Errc code) {
  static const BackendCategory category;
  return {static_cast<int>(code), category};
}

}  // namespace etcdpp::backend
