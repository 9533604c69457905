#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/env.h>

namespace etcdpp::wal {

/// The next segment's file, made before it is needed: created as `0.tmp` or `1.tmp` (alternating), locked, and with its
/// blocks allocated, so that the cut costs a rename and not 64 MB of allocation.
///
/// Called by the `wal-prealloc` thread, or the simulator, through step(); and by its Wal through take().
/// Threads: step(), wait() and take() may overlap. take() waits for a step() in progress.
/// Errors: a failed step() is kept and told by the next take(), which tries once more itself: a full disk is met
/// before any entry is written to the new segment.
class Preallocator {
 public:
  Preallocator(base::Env& env, std::string directory, std::uint64_t segment_size);
  Preallocator(const Preallocator&) = delete;
  Preallocator& operator=(const Preallocator&) = delete;
  /// Removes a file that was made and not taken.
  ~Preallocator();

  /// Measures on this disk whether a sync is quicker over blocks that hold written zeros than over blocks that are only allocated
  /// (file systems must convert those in their journal), and makes the files so from now on. Once, before the first step(), by
  /// whoever has the real clock; takes a few syncs, at most about a fifth of a second. True when zeros are written.
  bool probe(const base::Clock& clock);

  /// Makes the next file if none is ready. False when there was nothing to do.
  bool step();
  /// Blocks until step() has something to do; false when `stop` was requested.
  bool wait(std::stop_token stop);

  struct Prepared {
    std::string path;
    std::unique_ptr<base::File> file;
  };
  /// The ready file, or one made now. It is locked and holds zeros only.
  base::Result<Prepared> take();

 private:
  base::Result<Prepared> make();
  base::Result<Prepared> make_at(const std::string& path);
  base::Result<bool> zeros_are_quicker(const base::Clock& clock);

  base::Env& env_;
  const std::string directory_;
  const std::uint64_t segment_size_;
  std::atomic<bool> write_zeros_{false};

  std::mutex mutex_;
  std::condition_variable_any changed_;
  // Guarded by mutex_.
  std::optional<Prepared> ready_;
  bool making_ = false;
  bool failed_ = false;
  std::uint64_t count_ = 0;
};

}  // namespace etcdpp::wal
