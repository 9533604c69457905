#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <etcdpp/base/env.h>
#include <etcdpp/base/random.h>

namespace etcdpp::test {

/// A file system in memory that forgets what was not synced, and fails where it is told to.
///
/// It stands in for base::posix_env() in tests and in the simulator. Files are sparse: a preallocated segment of 64 MB
/// costs nothing.
///
/// The model of a crash, which is that of a disk behind a journaling file system, and a little worse:
/// - a sector (512 bytes) is written whole, and holds the bytes of some prefix of the unsynced writes to it;
///   what one sector keeps says nothing about another;
/// - a file's size is that of some prefix of the unsynced changes of its size, whatever its sectors hold; bytes that
///   were never written read as zeros;
/// - a name created, removed or renamed and not synced by its directory's sync may be kept or lost, each by itself,
///   though one rename is one step; syncing a file says nothing about its name;
/// - what a sync covered is there.
/// A failed sync leaves its writes visible and never durable, as Linux does: a later sync that succeeds does not cover
/// them, and drop_cache() shows the old bytes again.
///
/// After crash() or kill() every open file answers EIO and holds no lock; open it anew.
///
/// Threads: any. Deterministic: the same seed and the same calls give the same losses.
/// Limits: no "..", links or permissions; a relative path is taken from the root.
///
///     FaultEnv env(seed);
///     … run …
///     env.crash(FaultEnv::Loss::kRandom);   // the machine loses power
///     … open again and look …
class FaultEnv final : public base::Env {
 public:
  explicit FaultEnv(std::uint64_t seed = 1);
  ~FaultEnv() override;

  base::Result<std::unique_ptr<base::File>> open(const std::string& path, base::OpenMode mode, unsigned permissions) override;
  bool exists(const std::string& path) override;
  base::Result<std::vector<std::string>> list(const std::string& directory) override;
  base::Result<> make_directories(const std::string& path, unsigned permissions = 0700) override;
  base::Result<> remove(const std::string& path) override;
  base::Result<> remove_tree(const std::string& path) override;
  base::Result<> rename(const std::string& from, const std::string& to) override;
  base::Result<> sync_directory(const std::string& path) override;

  // --- losing ---------------------------------------------------------------------------------------------------

  enum class Loss {
    kAll,     ///< everything unsynced is lost
    kNone,    ///< everything unsynced happens to be on disk
    kRandom,  ///< any mixture, chosen from the seed
  };
  /// The machine loses power.
  void crash(Loss loss);
  /// Crash in which `keep(n)` decides about the n-th unsynced piece (each sector's each write, each change of a size, each
  /// name), counted from 0 in a fixed order; for trying every subset. A sector's or size's first lost change takes its
  /// later ones with it. Returns how many pieces there were.
  std::size_t crash(const std::function<bool(std::size_t)>& keep);
  /// How many pieces crash(keep) would ask about, did it keep them all.
  std::size_t unsynced_pieces();
  /// The process dies, the machine does not: nothing is lost but handles and locks.
  void kill();

  // --- failing --------------------------------------------------------------------------------------------------

  enum class Call { kOpen, kRead, kWrite, kSyncData, kSyncAll, kTruncate, kAllocate, kLock, kDropCache, kRename, kRemove, kMakeDirectory, kSyncDirectory };

  /// The n-th call from now on that changes, syncs, opens or locks anything (0: the next) fails with this code; a write
  /// gets `written` bytes done first, inside the file only up to a sector's end.
  void fail_call(std::uint64_t n, std::errc code, std::size_t written = 0);
  void clear_faults();
  /// How many such calls there were, ever.
  std::uint64_t calls();
  /// Asked before every call, reads too, without any lock held: may wait, count, or answer with an error that the call
  /// then fails with. Set it while nothing else runs.
  std::function<std::optional<std::errc>(Call, const std::string& path)> on_call;

  // --- looking --------------------------------------------------------------------------------------------------

  /// What a reader sees now; empty when absent.
  std::string contents(const std::string& path);
  /// Replaces or makes the file, durable at once with its directories: for planting damage.
  void plant(const std::string& path, const std::string& bytes);

 private:
  friend class FaultFile;
  struct Node;
  struct NameChange;
  using NodePtr = std::shared_ptr<Node>;
  struct Fault {
    std::errc code;
    std::size_t written;
  };

  base::Result<> enter(Call call, const std::string& path, std::size_t* written = nullptr);
  NodePtr find(const std::string& path) const;
  NodePtr find_parent(const std::string& path, std::string& name) const;
  void change_name(NameChange change);
  static void apply(const NameChange& change);
  std::size_t lose(const std::function<bool(std::size_t)>& keep, bool really);

  std::mutex mutex_;
  // Guarded by mutex_.
  base::Random random_;
  NodePtr root_;
  std::vector<NameChange> name_changes_;
  std::uint64_t epoch_ = 0;
  std::uint64_t calls_ = 0;
  std::optional<std::uint64_t> fault_at_;
  Fault fault_{};
};

}  // namespace etcdpp::test
