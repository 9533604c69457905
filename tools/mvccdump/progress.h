#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/clock.h>

namespace etcdpp::mvccdump {

/// A bar on standard error for what takes long: from the second half-second on, ten times a second at most.
class Progress {
 public:
  using Sink = std::function<void(base::BytesView)>;
  /// Without a sink: none.
  Progress() = default;
  Progress(const base::Clock& clock, Sink sink) : clock_(&clock), sink_(std::move(sink)), begun_(clock.now()), shown_(begun_) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// A part of the work begins: `total` bytes, about.
  void begin(const std::string& what, std::uint64_t total);
  void add(std::uint64_t bytes) {
    done_ += bytes;
    if (sink_ && done_ >= next_look_) look();
  }
  /// Takes the bar away.
  void clear();

 private:
  void look();

  const base::Clock* clock_ = nullptr;
  Sink sink_;
  base::Instant begun_{};
  base::Instant shown_{};
  std::string what_;
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t next_look_ = 0;
  bool visible_ = false;
};

}  // namespace etcdpp::mvccdump
