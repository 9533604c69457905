#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <etcdpp/base/env.h>
#include <support/fault_env.h>

#include "trace.h"

namespace etcdpp::sim {

/// The simulated machine's one disk: a test::FaultEnv, of which LMDB sees its own file as well.
///
/// Whatever the server does to files by base::Env happens in the FaultEnv alone. LMDB opens member/etcdpp/data.lmdb by
/// path and maps it, so that file also exists really, in a directory of the run; system_calls.cc hands what LMDB writes
/// and syncs first to this disk, which puts it into the FaultEnv's file of the same name. So one model of losing covers
/// log, snapshots, names and database, and after a crash the real file is made anew from what the FaultEnv has left.
///
/// Threads: one. One disk at a time may be active in the process.
class Disk final : public base::Env {
 public:
  /// `directory` is where the real file goes; made here, removed by the destructor.
  Disk(std::uint64_t seed, std::string directory, Trace& trace);
  ~Disk() override;

  base::Result<std::unique_ptr<base::File>> open(const std::string& path, base::OpenMode mode, unsigned permissions) override;
  bool exists(const std::string& path) override;
  base::Result<std::vector<std::string>> list(const std::string& directory) override;
  base::Result<> make_directories(const std::string& path, unsigned permissions) override;
  base::Result<> remove(const std::string& path) override;
  base::Result<> remove_tree(const std::string& path) override;
  base::Result<> rename(const std::string& from, const std::string& to) override;
  base::Result<> sync_directory(const std::string& path) override;

  // --- faults; a call is one that changes, syncs, opens or locks something ------------------------------------------

  /// The machine loses power at the n-th call from now on: from there every call fails and nothing gets to the disk.
  void lose_power_at_call(std::uint64_t n) { power_off_at_ = calls_ + n; }
  /// That call alone fails with EIO, once.
  void fail_call(std::uint64_t n) { fail_at_ = calls_ + n; }
  void lose_power_now() { off_ = true; }
  bool is_off() const { return off_; }
  /// A call has failed since the last restart.
  bool has_failed() const { return failed_ || off_; }
  std::uint64_t calls() const { return calls_; }
  /// LMDB's syncs are answered and not carried out: the build that this simulator must find wanting.
  void ignore_database_syncs() { ignore_database_syncs_ = true; }

  enum class Restart { kPowerLost, kProcessKilled };
  /// The machine comes back with some of what was not synced, or only the process ended. No file may be in use.
  void restart(Restart how, test::FaultEnv::Loss loss);

  /// Looks at the files as they stand, unseen by faults and trace.
  template <typename Look>
  void observe(Look&& look) {
    const auto on_call = std::exchange(image_.on_call, nullptr);
    look(static_cast<base::Env&>(image_));
    image_.on_call = on_call;
  }

  // --- for system_calls.cc ------------------------------------------------------------------------------------------

  static Disk* active();
  /// The FaultEnv's file behind a descriptor of LMDB's, or null: not its data file.
  base::File* database(int descriptor);
  /// 0 or errno.
  int write(base::File& file, int descriptor, const void* data, std::size_t size, std::uint64_t offset);
  int sync(base::File& file);
  int resize(base::File& file, std::uint64_t size);

 private:
  std::optional<std::errc> on_call(test::FaultEnv::Call call, const std::string& path);
  friend class DatabaseFile;
  bool is_database(const std::string& path) const;
  void restore_real_file(const std::string& path);
  void forget(const std::string& path);

  test::FaultEnv image_;
  const std::string directory_;
  Trace& trace_;
  std::uint64_t calls_ = 0;
  std::uint64_t power_off_at_ = UINT64_MAX;
  std::uint64_t fail_at_ = UINT64_MAX;
  bool off_ = false;
  bool failed_ = false;
  bool ignore_database_syncs_ = false;
  /// By inode of the real file; null for files that are none of LMDB's data.
  std::map<ino_t, std::unique_ptr<base::File>> known_;
};

}  // namespace etcdpp::sim
