#include "terminal.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

namespace etcdpp::waldump {

namespace {
constexpr auto kQuietAtFirst = std::chrono::milliseconds(500);
constexpr auto kStep = std::chrono::milliseconds(100);
constexpr std::size_t kWidth = 40;
}  // namespace

bool write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      pollfd room{STDOUT_FILENO, POLLOUT, 0};
      ::poll(&room, 1, -1);
      continue;
    }
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool output_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

bool output_has_colors() {
  const char* term = std::getenv("TERM");
  const char* no_color = std::getenv("NO_COLOR");
  return output_is_terminal() && term && std::string_view(term) != "dumb" && !(no_color && *no_color);
}

bool wait_for_more(std::chrono::milliseconds time) {
  // Asked for nothing, poll() still tells of a reader that has gone.
  pollfd out{STDOUT_FILENO, 0, 0};
  const int n = ::poll(&out, 1, static_cast<int>(time.count()));
  if (n <= 0 || (out.revents & POLLNVAL)) return n == 0 || errno == EINTR;
  return (out.revents & (POLLERR | POLLHUP)) == 0;
}

ProgressBar::ProgressBar(bool wanted)
    : wanted_(wanted && ::isatty(STDERR_FILENO) == 1), next_(std::chrono::steady_clock::now() + kQuietAtFirst) {}

void ProgressBar::show(std::uint64_t done, std::uint64_t total) {
  if (!wanted_ || std::chrono::steady_clock::now() < next_) return;
  next_ = std::chrono::steady_clock::now() + kStep;
  const double part = total == 0 ? 0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const auto full = static_cast<std::size_t>(part * kWidth);
  const std::string bar = std::string(full, '#') + std::string(kWidth - full, '.');
  std::fprintf(stderr, "\r[%s] %3.0f %%  %.0f of %.0f MB", bar.c_str(), part * 100, static_cast<double>(done) / 1e6, static_cast<double>(total) / 1e6);
  drawn_ = true;
}

void ProgressBar::clear() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
  drawn_ = false;
}

}  // namespace etcdpp::waldump
