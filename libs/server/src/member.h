#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include <etcdpp/backend/backend.h>
#include <etcdpp/base/clock.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/logger.h>
#include <etcdpp/config/config.h>
#include <etcdpp/lease/lessor.h>
#include <etcdpp/mvcc/event_log.h>
#include <etcdpp/mvcc/store.h>

#include "apply_loop.h"
#include "auto_compactor.h"
#include "bootstrap.h"
#include "cluster_rows.h"
#include "failure.h"
#include "member_state.h"
#include "metrics/member_metrics.h"
#include "primary_lessor.h"
#include "proposer.h"
#include "raft_loop.h"
#include "read_indexer.h"
#include "request_id.h"
#include "wal_loop.h"

namespace etcdpp::server {

/// Runs tasks in the apply loop: the home of what the member itself proposes.
class LoopExecutor final : public net::Executor {
 public:
  explicit LoopExecutor(const base::Clock& clock) : clock_(clock) {}
  void connect(ApplyLoop& loop) { loop_ = &loop; }
  void post(net::Task task) override {
    loop_->post([task = std::move(task)](ApplyLoop&) mutable { task(); });
  }
  bool is_current() const override { return false; }
  base::Instant now() const override { return clock_.now(); }

 private:
  const base::Clock& clock_;
  ApplyLoop* loop_ = nullptr;
};

/// One member without sockets and threads: its raft, log, database and state, and the loops that move them. The daemon
/// gives the loops threads and puts services in front; the simulator steps them by hand.
///
/// Threads: step_core() from one at a time (it steps raft and apply), wal_loop() and commit_loop() as they say; tick()
/// from any. Everything else is for services and may be called from any thread.
/// Order of a stop: no more requests, stop(), the loops end, destroy. Nothing is lost by a stop or a crash at any moment.
class Member final : private PeerMessages {
 public:
  struct Options {
    const config::Config& config;
    base::Env& env;
    const base::Clock& clock;
    base::Logger& logger;
    std::uint64_t seed = 0;
    /// The durable state can no longer be trusted: end the process.
    std::function<void(const base::Error&)> on_failure;
    /// The core has something to do (called from other threads: commits, compactions).
    std::function<void()> wake_core;
    /// The commit loop has.
    std::function<void()> wake_commit;
    /// Published: clients may be served.
    std::function<void()> on_ready;
    /// Small ones in tests and in the simulator.
    std::uint64_t wal_segment_size = wal::kSegmentSize;
    mvcc::EventLogOptions event_log{};
    /// open() may use a second thread.
    bool threads = false;
  };

  /// A new member, or the one that the data directory holds. One-line refusals that say what to do.
  static base::Result<std::unique_ptr<Member>> open(Options options);
  ~Member();

  /// One pass over raft and apply; false when both had nothing to do.
  bool step_core();
  /// A heartbeat interval has passed.
  void tick();
  /// Waiting requests fail with kStopped.
  void stop();
  /// After the loops have ended: what is in the log is applied, what is applied is committed, and the log is closed, so
  /// that the next start has nothing to catch up with.
  void close();

  RaftLoop& raft_loop() { return *raft_loop_; }
  WalLoop& wal_loop() { return *wal_loop_; }
  ApplyLoop& apply_loop() { return *apply_loop_; }
  backend::CommitLoop& commit_loop() { return boot_.backend->commit_loop(); }
  wal::Preallocator& preallocator() { return wal_loop_->log().preallocator(); }
  /// Deletes segments and snapshot files that are no longer needed; every 30 s.
  void purge();

  // For services.
  const MemberState& state() const { return state_; }
  MemberMetrics& metrics() { return *metrics_; }
  std::size_t pending_proposals() const { return waiters_.size(); }
  Proposer& proposer() { return *proposer_; }
  ReadIndexer& read_indexer() { return *read_indexer_; }
  /// In tasks of the apply loop.
  PrimaryLessor& primary_lessor() { return *primary_lessor_; }
  const mvcc::Views& views() const { return store_->views(); }
  mvcc::EventLog& event_log() { return *event_log_; }
  const mvcc::CompactionHashes& compaction_hashes() const { return store_->hashes(); }
  backend::Backend& backend() { return *boot_.backend; }
  const Quota& quota() const { return quota_; }
  std::shared_ptr<const ClusterFacts> facts() const { return apply_loop_->facts(); }
  const config::Config& config() const { return options_.config; }
  const base::Clock& clock() const { return options_.clock; }
  base::Logger& logger() { return options_.logger; }
  Failure& failure() { return failure_; }
  /// How long the oldest applied change that the database has not committed has been waiting, as of the last tick.
  base::Duration uncommitted_for() const { return base::Duration(uncommitted_for_.load(std::memory_order_relaxed)); }
  /// A member whose changes wait longer than this for their commit is not ready.
  static constexpr base::Duration kLateCommit = std::chrono::seconds(5);
  /// Something was put into a mailbox of raft or apply.
  void wake_core() { options_.wake_core(); }
  /// Raises this member's NOSPACE alarm; `then` runs in the apply loop when it stands.
  void raise_no_space(std::move_only_function<void()> then);

 private:
  Member(Options options, std::unique_ptr<MemberMetrics> metrics);
  base::Result<> assemble(Bootstrapped boot);
  void send(std::vector<raft::Message> messages) override;
  void led_first_entry(std::uint64_t term);
  void publish_attributes();
  void propose_cluster_version();
  void expire(ApplyLoop& loop);
  void compact_history();
  void watch_commits(ApplyLoop& loop);
  void assemble_primary_lessor();
  void snapshot_if_due();
  void committed(const backend::Commit& commit);

  const Options options_;
  const std::unique_ptr<MemberMetrics> metrics_;
  Failure failure_;
  MemberState state_;
  std::unique_ptr<base::Logger> raft_logger_;
  Bootstrapped boot_;
  Waiters waiters_;
  const Quota quota_;
  LoopExecutor executor_;
  std::unique_ptr<RequestIdGenerator> ids_;
  std::unique_ptr<ReadIndexer> read_indexer_;
  std::unique_ptr<RaftLoop> raft_loop_;
  std::unique_ptr<Proposer> proposer_;
  std::unique_ptr<BackendMembershipRows> membership_rows_;
  std::unique_ptr<BackendLeaseRows> lease_rows_;
  std::unique_ptr<lease::Lessor> lessor_;
  std::unique_ptr<LessorAttach> lessor_attach_;
  std::unique_ptr<mvcc::EventLog> event_log_;
  std::unique_ptr<mvcc::Store> store_;
  std::unique_ptr<ApplyLoop> apply_loop_;
  std::unique_ptr<WalLoop> wal_loop_;
  std::unique_ptr<PrimaryLessor> primary_lessor_;

  // The commit loop's.
  std::int64_t seen_compaction_ = -1;

  std::atomic<std::int64_t> uncommitted_for_{0};  // nanoseconds; written by the core

  // The core's.
  std::uint64_t disk_snapshot_index_ = 0;
  std::uint64_t memory_snapshot_index_ = 0;
  bool snapshot_in_progress_ = false;
  std::unique_ptr<AutoCompactor> auto_compactor_;  // null: --auto-compaction-retention=0
  std::uint64_t watched_index_ = 0;                // applied at watched_since_, not committed yet
  base::Instant watched_since_{};
};

}  // namespace etcdpp::server
