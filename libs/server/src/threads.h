#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <etcdpp/net/io_thread.h>

#include "baton.h"
#include "member.h"
#include "reader_pool.h"
#include "rpc/watch_service.h"

namespace etcdpp::server {

/// Maps loops to threads; nothing else in the server starts one (docs/THREADS.md).
///
/// Raft and apply have no thread of their own: whichever I/O thread brings work runs them (Baton), once at the end of
/// each turn. While the disk's fdatasync is about as quick as waking a thread, the same thread runs the log too; on a slower
/// disk the `wal` thread does, so that sockets and disk overlap, and it carries the acknowledgements through raft and
/// apply itself.
class Threads {
 public:
  Threads(Member& member, net::IoThreads& io, WatchService& watch, ReaderPool& readers);
  ~Threads();

  void start();
  /// Ends all loops; what is applied is committed first. Idempotent.
  void stop();

  /// From any thread: the core has something to do. I/O threads look by themselves at the end of their turn.
  void wake_core();

 private:
  void run_core();
  /// At the end of an I/O thread's turn: it reads no more while raft's inbox is crowded.
  void heed_inbox(net::IoThread& io);
  bool step_all();
  bool step_wal();
  bool log_is_quick() const;

  void timer_loop();
  void wal_loop();

  Member& member_;
  net::IoThreads& io_;
  WatchService& watch_;
  ReaderPool& readers_;
  Baton baton_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> core_posted_{false};
  // Which I/O threads have stopped reading (each its own), and whether one of them may sleep so.
  std::deque<bool> not_reading_;
  std::atomic<bool> somebody_waits_for_room_{false};
  std::atomic_flag wal_stepping_ = ATOMIC_FLAG_INIT;
  std::stop_source prealloc_stop_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool wal_wanted_ = false;  // guarded by mutex_

  std::vector<std::thread> threads_;
};

}  // namespace etcdpp::server
