#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace etcdpp::waldump {

/// Writes all of it to standard output; false when the reader has gone, as `| head` goes.
bool write_all(std::string_view bytes);

/// Whether colours are wanted on standard output: a terminal that is not "dumb", and no NO_COLOR.
bool output_has_colors();
bool output_is_terminal();

/// Sleeps, at most so long; false at once when nobody reads standard output any more.
bool wait_for_more(std::chrono::milliseconds time);

/// How far long work is, on standard error if that is a terminal; nothing of work that ends soon. One owner.
class ProgressBar {
 public:
  explicit ProgressBar(bool wanted);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar() { clear(); }

  void show(std::uint64_t done, std::uint64_t total);
  void clear();

 private:
  const bool wanted_;
  std::chrono::steady_clock::time_point next_;
  bool drawn_ = false;
};

}  // namespace etcdpp::waldump
