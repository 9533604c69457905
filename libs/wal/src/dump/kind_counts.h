#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>

namespace etcdpp::wal {

/// Entries of each kind: how many, how large, and how they are spread along the raft index, in a bounded number of equal steps
/// (a step doubles when they no longer reach). One owner.
class KindCounts {
 public:
  static constexpr std::size_t kSteps = 32;
  struct Count {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::array<std::uint64_t, kSteps> along{};
  };

  /// `kind` outlives this.
  void add(std::string_view kind, std::uint64_t index, std::uint64_t bytes) {
    if (kinds_.empty()) first_ = index;
    // Before the beginning lies only what was written over.
    index = index < first_ ? first_ : index;
    while ((index - first_) / step_ >= kSteps) widen();
    Count& count = kinds_[kind];
    ++count.entries;
    count.bytes += bytes;
    const auto at = static_cast<std::size_t>((index - first_) / step_);
    ++count.along[at];
    if (at >= used_) used_ = at + 1;
  }

  const std::map<std::string_view, Count>& kinds() const { return kinds_; }
  std::uint64_t first() const { return first_; }
  std::uint64_t step() const { return step_; }
  /// Steps that the log reaches.
  std::size_t used() const { return used_; }

 private:
  void widen() {
    for (auto& [kind, count] : kinds_) {
      for (std::size_t i = 0; i < kSteps; ++i) count.along[i] = 2 * i + 1 < kSteps ? count.along[2 * i] + count.along[2 * i + 1] : 0;
    }
    used_ = (used_ + 1) / 2;
    step_ *= 2;
  }

  std::map<std::string_view, Count> kinds_;
  std::uint64_t first_ = 0;
  std::uint64_t step_ = 1;
  std::size_t used_ = 0;
};

}  // namespace etcdpp::wal
