#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/mailbox.h>
#include <etcdpp/base/result.h>
#include <etcdpp/raft/types.h>
#include <etcdpp/wal/wal.h>

namespace etcdpp::server {

/// What has become durable: where the messages that waited for the disk go.
class StorageAcknowledgements {
 public:
  virtual ~StorageAcknowledgements() = default;
  /// Responses of one MsgStorageAppend, in order. Those to this member are steps of its own raft, others are for peers.
  virtual void append_durable(std::vector<raft::Message> responses) = 0;
};

/// Hop 7 of a Put: writes what raft wants durable. All that has gathered goes into the log as one write and one
/// fdatasync, and only then do the messages leave that promise it.
///
/// Threads: append() and release() from the raft loop; step() from one thread at a time (docs/THREADS.md says which).
/// Bound: raft hands out nothing more once its limits are reached (uncommitted bytes, inbox), so the mailbox is bounded by
/// what raft holds anyway.
/// Errors: a failed write or sync is returned by step(), which must then not be called again; the owner stops the member.
class WalLoop {
 public:
  WalLoop(std::unique_ptr<wal::Wal> log, StorageAcknowledgements& acknowledgements, const base::Clock& clock);

  /// Takes a MsgStorageAppend.
  void append(raft::Message message);
  /// A snapshot of this index is durable (database and .snap file): its marker goes into the log, then `released` runs
  /// in step()'s thread with the older segments unlocked.
  void release(wal::SnapshotMarker marker, std::function<void()> released);

  /// Does all that has gathered. False if there was nothing.
  base::Result<bool> step();
  bool idle() const { return mailbox_.empty(); }

  /// How long an fdatasync takes lately (smoothed); decides who runs this loop.
  base::Duration recent_sync() const { return base::Duration(recent_sync_.load(std::memory_order_relaxed)); }
  wal::Wal& log() { return *log_; }

 private:
  struct Release {
    wal::SnapshotMarker marker;
    std::function<void()> released;
  };
  using Work = std::variant<raft::Message, Release>;

  base::Result<> sync_and_acknowledge();

  const std::unique_ptr<wal::Wal> log_;
  StorageAcknowledgements& acknowledgements_;
  const base::Clock& clock_;
  base::Mailbox<Work> mailbox_;
  std::atomic<base::Duration::rep> recent_sync_{0};

  // step()'s.
  std::vector<Work> taken_;
  std::vector<std::vector<raft::Message>> waiting_;
};

}  // namespace etcdpp::server
