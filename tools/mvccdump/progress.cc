#include "progress.h"

#include <algorithm>

namespace etcdpp::mvccdump {

namespace {

constexpr std::uint64_t kLookEvery = 1u << 20;
constexpr base::Duration kQuiet = std::chrono::milliseconds(500);
constexpr base::Duration kBetween = std::chrono::milliseconds(100);
constexpr std::size_t kBar = 30;

}  // namespace

void Progress::begin(const std::string& what, std::uint64_t total) {
  what_ = what;
  total_ = std::max<std::uint64_t>(total, 1);
  done_ = 0;
  next_look_ = kLookEvery;
}

void Progress::look() {
  next_look_ = done_ + kLookEvery;
  const base::Instant now = clock_->now();
  if (now - begun_ < kQuiet || now - shown_ < kBetween) return;
  shown_ = now;
  // Rows are fewer bytes than their file; more than all of it is never claimed.
  const std::uint64_t percent = std::min<std::uint64_t>(done_ * 100 / total_, 99);
  std::string bar(kBar * percent / 100, '#');
  bar.resize(kBar, '.');
  sink_("\r" + what_ + " [" + bar + "] " + std::to_string(percent) + " % " + std::to_string(done_ >> 20) + " MiB \x1b[K");
  visible_ = true;
}

void Progress::clear() {
  if (visible_) sink_("\r\x1b[K");
  visible_ = false;
}

}  // namespace etcdpp::mvccdump
