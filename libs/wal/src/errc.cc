#include <etcdpp/wal/errc.h>

#include <string>

namespace etcdpp::wal {

namespace {
class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "wal"; }
  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::kExists: return "file already exists";
      case Errc::kFileNotFound: return "wal: file not found";
      case Errc::kSegmentMissing: return "wal: a segment is missing";
      case Errc::kMetadataConflict: return "wal: conflicting metadata found";
      case Errc::kMetadataMissing: return "wal: metadata not found";
      case Errc::kSnapshotMismatch: return "wal: snapshot mismatch";
      case Errc::kSnapshotNotFound: return "wal: snapshot not found";
      case Errc::kSliceOutOfRange: return "wal: slice bounds out of range";
      case Errc::kCrcMismatch: return "walpb: crc mismatch";
      case Errc::kBadRecord: return "wal: record cannot be decoded";
      case Errc::kUnexpectedEof: return "unexpected EOF";
      case Errc::kLogEndsEarly: return "wal: synced data is missing";
      case Errc::kInvalidMarker: return "wal: snapshot marker without conf state";
      case Errc::kPoisoned: return "wal: an earlier write or sync failed";
      case Errc::kLocked: return "wal: locked by another process";
      case Errc::kForeignFiles: return "wal: directory is not empty";
      case Errc::kEmptySnapshot: return "snap: empty snapshot";
      case Errc::kSnapshotCrcMismatch: return "snap: crc mismatch";
      case Errc::kNoSnapshot: return "snap: no available snapshot";
      case Errc::kBadFilter: return "no such filter";
      case Errc::kTargetExists: return "is there already and not an empty directory";
    }
    return "wal: unknown error";
  }
};
}  // namespace

std::error_code make_error_code(Errc e) {
  static const Category category;
  return {static_cast<int>(e), category};
}

}  // namespace etcdpp::wal
