#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <etcdpp/base/bytes.h>

namespace etcdpp::mvccdump {

/// Where a command writes what it found: gathered, and quietly lost once nobody reads any more (`| head`).
class Output {
 public:
  /// False: the reader has gone.
  using Sink = std::function<bool(base::BytesView)>;
  explicit Output(Sink sink) : sink_(std::move(sink)) {}
  ~Output() { flush(); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void write(base::BytesView bytes) {
    if (closed_) return;
    gathered_.append(bytes);
    if (gathered_.size() >= kGathered) flush();
  }
  void flush() {
    if (!closed_ && !gathered_.empty()) closed_ = !sink_(gathered_);
    gathered_.clear();
  }
  /// Nobody reads: whoever has more to say may stop.
  bool closed() const { return closed_; }

 private:
  static constexpr std::size_t kGathered = 64u << 10;
  const Sink sink_;
  base::Bytes gathered_;
  bool closed_ = false;
};

}  // namespace etcdpp::mvccdump
