#pragma once

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include <etcdpp/exchange/export.h>
#include <etcdpp/net/grpc_call.h>

#include "../member.h"

namespace etcdpp::server {

/// Maintenance.Snapshot: the database as etcd's bbolt file, in blobs of 32 KiB, and its SHA-256 behind.
///
/// Each stream has a thread of its own at low priority, which reads, lays out and hashes, and waits while the client lags:
/// kHighWater bytes are on their way at most. It reads slower while the log's fdatasync suffers. What it sends is of one
/// read transaction, begun right behind a commit of all that had been applied when the call came.
///
/// Threads: start() in the call's; stop() by whoever stops the server, once nobody calls start() any more and the I/O
/// threads still run. Bound: kMostStreams; beyond, calls are refused. A client that takes nothing is cut off by the
/// connection's write timeout, one that has not taken all by kLongest is refused the rest: pages that are freed meanwhile
/// are not used again.
class SnapshotSender {
 public:
  explicit SnapshotSender(Member& member) : member_(member) {}
  SnapshotSender(const SnapshotSender&) = delete;
  SnapshotSender& operator=(const SnapshotSender&) = delete;
  ~SnapshotSender() { stop(); }

  void start(net::CallRef call);
  void stop();

  static constexpr std::size_t kMostStreams = 16;
  static constexpr base::Duration kLongest = std::chrono::hours(1);

 private:
  class Stream;
  struct Worker {
    std::thread thread;
    std::shared_ptr<Stream> stream;
  };
  void run(const std::shared_ptr<Stream>& stream, base::Result<std::unique_ptr<exchange::Export>> exported);

  Member& member_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::list<Worker> workers_;
  bool stopping_ = false;
};

}  // namespace etcdpp::server
