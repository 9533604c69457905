#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/logger.h>
#include <etcdpp/base/result.h>
#include <etcdpp/net/executor.h>
#include <etcdpp/raft/ready.h>

#include "request_id.h"
#include "waiters.h"

namespace etcdpp::server {

/// Linearizable reads: a read may run here once the leader has confirmed that it leads and this member has applied what
/// was committed then (thesis 6.4). All reads that wait share one round.
///
/// Threads: request() from any; everything else from the raft loop's thread.
/// Bound: reads are answered by their deadline; how many may wait is bounded by the calls that connections may hold.
class ReadIndexer {
 public:
  using ReadDone = std::move_only_function<void(base::Result<>)>;
  /// Starts a raft ReadIndex round with this context; false if the inbox is full (asked again later).
  using StartRound = std::function<bool(base::SharedBytes context)>;

  ReadIndexer(RequestIdGenerator& ids, const base::Clock& clock, StartRound start_round,
              base::Logger& logger = base::null_logger());

  /// `done` runs on `home` when a read that sees everything written before this call may begin, or with kTimeout,
  /// kLeaderChanged or kStopped.
  void request(ReadDone done, net::Executor& home, base::Instant deadline);

  /// Starts a round for what has gathered, asks again for one that got no answer, drops the expired. False: nothing to do.
  bool step(AnswerBatch& answers);
  /// Rounds that had to be asked again, and reads that were not confirmed in time or at all. Any thread.
  std::uint64_t slow_rounds() const { return slow_.load(std::memory_order_relaxed); }
  std::uint64_t failed_reads() const { return failed_.load(std::memory_order_relaxed); }

  /// Some round was confirmed and waits for its index to be applied.
  bool has_confirmed() const { return !waiting_for_apply_.empty(); }
  /// The leader's answer: reads of that round may run once `state.index` is applied.
  void confirmed(const raft::ReadState& state);
  /// Entries up to `applied` are visible.
  void release(std::uint64_t applied, AnswerBatch& answers);
  /// The leader changed: rounds that were asked of the old one fail, since nobody will answer them.
  void leader_changed(AnswerBatch& answers);
  void fail_all(const base::Error& why, AnswerBatch& answers);

 private:
  struct Read {
    ReadDone done;
    net::Executor* home;
    base::Instant deadline;
  };
  struct Round {
    std::uint64_t context;
    base::Instant asked_at;
    std::vector<Read> reads;
  };
  void answer(std::vector<Read> reads, const base::Result<>& result, AnswerBatch& answers);
  bool ask(Round& round);

  RequestIdGenerator& ids_;
  const base::Clock& clock_;
  const StartRound start_round_;
  base::Logger& logger_;

  std::mutex mutex_;
  std::vector<Read> gathered_;  // guarded by mutex_

  std::atomic<std::uint64_t> slow_{0};
  std::atomic<std::uint64_t> failed_{0};

  // The raft loop's.
  std::vector<Round> rounds_;
  std::multimap<std::uint64_t, std::vector<Read>> waiting_for_apply_;
};

}  // namespace etcdpp::server
