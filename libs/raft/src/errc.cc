#include <etcdpp/raft/errc.h>

#include <string>

namespace etcdpp::raft {

namespace {
class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "raft"; }
  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::kProposalDropped: return "raft proposal dropped";
      case Errc::kStepLocalMessage: return "raft: cannot step raft local message";
      case Errc::kStepPeerNotFound: return "raft: cannot step as peer not found";
      case Errc::kStopped: return "raft: stopped";
      case Errc::kCompacted: return "requested index is unavailable due to compaction";
      case Errc::kUnavailable: return "requested entry at index is unavailable";
      case Errc::kSnapshotOutOfDate: return "requested index is older than the existing snapshot";
      case Errc::kSnapshotTemporarilyUnavailable: return "snapshot is temporarily unavailable";
      case Errc::kBadConfig: return "raft: bad configuration";
      case Errc::kBadConfChange: return "raft: bad conf change";
      case Errc::kBadConfState: return "raft: bad conf state";
      case Errc::kBootstrapNonEmpty: return "can't bootstrap a nonempty Storage";
      case Errc::kBootstrapWithoutPeers: return "must provide at least one peer to Bootstrap";
      case Errc::kMalformedMessage: return "raft: malformed message";
      case Errc::kInboxFull: return "raft: inbox full";
      case Errc::kProposalExpired: return "raft: proposal waited too long for a leader";
    }
    return "raft: unknown error " + std::to_string(code);
  }
};
}  // namespace

const std::error_category& error_category() {
  static const Category category;
  return category;
}

std::error_code make_error_code(Errc code) { return {static_cast<int>(code), error_category()}; }

}  // namespace etcdpp::raft
