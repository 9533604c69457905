#include "retired_generation.h"

namespace etcdpp::backend {

namespace {
constexpr std::uint64_t kFreedAtOnce = 4u << 20;
}  // namespace

bool RetiredGeneration::give_back() {
  if (read()) return false;
  if (database_) {
    // Here and not in whichever thread held the last View: unmapping a large file takes its time.
    database_.reset();
    return false;
  }
  const auto left = blocks_->give_back(kFreedAtOnce);
  // What cannot be cut off goes when the file is closed.
  return !left || *left == 0;
}

}  // namespace etcdpp::backend
