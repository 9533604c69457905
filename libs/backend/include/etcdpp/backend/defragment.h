#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/result.h>

namespace etcdpp::backend {

/// What a defragmentation came to. Sizes as in Sizes::allocated: bytes of pages in use or free for reuse.
struct Defragmented {
  std::uint64_t generation = 0;  ///< The database in use from now on.
  std::uint64_t rows = 0;        ///< Of all buckets.
  std::uint64_t allocated_before = 0;
  std::uint64_t allocated_after = 0;
  base::Duration duration{};  ///< From its first step to the switch.
};

/// How far a defragmentation has come.
struct DefragmentProgress {
  std::uint64_t copied_bytes = 0;  ///< Σ (key + value + 16) of the rows in the new file.
  std::uint64_t total_bytes = 0;   ///< The same of all rows (Sizes::live).
};

/// How a defragmentation shares the disk: bytes copied and synced at once, then a pause. The disk is the log's first.
struct CopyPace {
  std::size_t slice_bytes = 1u << 20;
  base::Duration pause = std::chrono::milliseconds(2);
  /// Asked behind each slice, in the commit loop's thread: whether the log's fdatasync suffers. Then the pause is the longest.
  std::function<bool()> log_is_slow;
  base::Duration longest_pause = std::chrono::milliseconds(50);
};

/// Called once, in the commit loop's thread, when the new generation is durable and in use, or with the reason why the
/// old one stays: kCancelled, kNoSpace, the system's error. What was copied is gone then; nothing else is changed.
using DefragmentDone = std::function<void(base::Result<Defragmented>)>;

}  // namespace etcdpp::backend
