#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include <etcdpp/raft/types.h>

namespace etcdpp::raft {

/// The MsgApps that are on their way to one follower: a window bounded by count and by payload bytes, keyed by the
/// last index of each. The byte bound may be passed by the last message, which is what makes it full.
class Inflights {
 public:
  Inflights() = default;
  /// max_bytes 0 = no bound.
  Inflights(std::size_t max_count, std::uint64_t max_bytes) : max_count_(max_count), max_bytes_(max_bytes) {}

  bool full() const { return window_.size() >= max_count_ || (max_bytes_ != 0 && bytes_ >= max_bytes_); }
  std::size_t count() const { return window_.size(); }

  /// Precondition: not full, `last` grows from call to call.
  void add(Index last, std::uint64_t bytes) {
    window_.push_back({last, bytes});
    bytes_ += bytes;
  }
  /// Everything up to `index` arrived.
  void free_up_to(Index index) {
    while (!window_.empty() && window_.front().last <= index) {
      bytes_ -= window_.front().bytes;
      window_.pop_front();
    }
  }
  void reset() {
    window_.clear();
    bytes_ = 0;
  }

 private:
  struct Sent {
    Index last;
    std::uint64_t bytes;
  };
  std::size_t max_count_ = 0;
  std::uint64_t max_bytes_ = 0;
  std::uint64_t bytes_ = 0;
  std::deque<Sent> window_;
};

}  // namespace etcdpp::raft
