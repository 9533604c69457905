#pragma once

#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <variant>
#include <vector>

#include <etcdpp/base/mailbox.h>
#include <etcdpp/raft/types.h>

#include "apply/applier.h"
#include "apply/apply_state.h"
#include "failure.h"
#include "read_indexer.h"
#include "request_codec.h"
#include "waiters.h"

namespace etcdpp::server {

/// What apply says to raft; the raft loop is on the other side. Called in the apply loop's step.
class RaftPort {
 public:
  virtual ~RaftPort() = default;
  /// A committed conf change takes effect; node id 0 refuses it. Before the acknowledgement that covers its entry.
  virtual base::Result<raft::ConfState> apply_conf_change(const raft::ConfChange& change, std::uint64_t entry_index) = 0;
  /// Responses of a MsgStorageApply.
  virtual void apply_done(std::vector<raft::Message> responses) = 0;
};

/// Facts about the cluster and this member that change rarely; services read a copy.
struct ClusterFacts {
  Membership membership;
  Alarms alarms;
  std::string storage_version;
};

/// Hop 10 of a Put: applies committed entries in order, each exactly once (the consistent index says which are new), and
/// owns everything that an entry may change: mvcc's write side, the lessor, membership, alarms.
///
/// What has been applied in one pass becomes visible together, in this order: rows → index root → View → events → answers.
/// Lease calls, ticks and leadership arrive as tasks beside the batches.
///
/// Threads: commit() from the raft loop, post() from any, step() from one thread at a time; facts() from any.
/// Bound: raft hands out at most its committed-size limit that is not acknowledged; while two frozen buffers wait for
/// their commit nothing more is applied.
class ApplyLoop {
 public:
  using Task = std::move_only_function<void(ApplyLoop&)>;
  struct Ports {
    RaftPort& raft;
    Waiters& waiters;
    ReadIndexer& read_indexer;
    Failure& failure;
    MemberState& member;
    /// After a View was published, before answers leave: the event log's head moves.
    std::function<void()> on_published;
    /// The first entry of this leader's term has been applied: promote, announce, version.
    std::function<void(std::uint64_t term)> on_leader_entry;
    /// A lease and its keys are gone.
    std::function<void(lease::LeaseId id)> on_lease_revoked;
    /// A quota was exceeded here and no alarm is raised yet; `then` runs when it is.
    std::function<void(std::move_only_function<void()> then)> raise_no_space;
    /// A buffer was frozen, or deletions are due: the commit loop has something to do.
    std::function<void()> wake_commit;
  };

  ApplyLoop(ApplyState state, std::string storage_version, Ports ports);

  /// Takes a MsgStorageApply.
  void commit(raft::Message message) { mailbox_.push_always(Work(std::move(message))); }
  void post(Task task) { mailbox_.push_always(Work(std::move(task))); }

  /// Applies what has gathered and publishes it. False if there was nothing to do, or no room to do it in.
  bool step();

  /// Shown to services; never null.
  std::shared_ptr<const ClusterFacts> facts() const;

  /// For tasks.
  ApplyState& state() { return state_; }
  AnswerBatch& answers() { return answers_; }
  std::uint64_t applied_index() const { return applied_index_; }
  std::uint64_t applied_term() const { return applied_term_; }
  const raft::ConfState& conf_state() const { return conf_state_; }
  void set_conf_state(raft::ConfState state) { conf_state_ = std::move(state); }
  const std::string& storage_version() const { return storage_version_; }
  void set_storage_version(std::string version);
  /// What Views refer to has changed by itself: a new one at the end of this step.
  void publish_due() { publish_due_ = true; }
  /// For tasks: `then` runs when the entry at `index` has been applied, or with kTimeoutWaitingForApply at `deadline`.
  void when_applied(std::uint64_t index, base::Instant deadline, std::move_only_function<void(base::Result<>)> then);
  /// Ends waits that are over their time; at each tick.
  void end_late_waits(base::Instant now);

 private:
  using Work = std::variant<raft::Message, Task>;

  void apply_message(raft::Message& message);
  void apply_entry(const raft::Entry& entry);
  void apply_normal(const raft::Entry& entry);
  void apply_conf_change(const raft::Entry& entry);
  base::Result<> change_membership(const raft::ConfChange& change);
  void answer(std::uint64_t id, Applied applied);
  void publish();
  void publish_facts();
  void notice_applied();

  ApplyState state_;
  Ports ports_;
  Applier applier_;
  base::Mailbox<Work> mailbox_{std::numeric_limits<std::size_t>::max()};

  // step()'s.
  std::vector<Work> taken_;
  std::deque<Work> queue_;
  std::vector<raft::Message> acknowledgements_;
  AnswerBatch answers_;
  google::protobuf::Arena arena_;
  std::uint64_t applied_index_;
  std::uint64_t applied_term_;
  std::uint64_t published_index_;
  std::uint64_t seen_committed_index_ = 0;
  raft::ConfState conf_state_;
  std::string storage_version_;
  bool facts_changed_ = false;
  bool publish_due_ = false;
  bool raising_no_space_ = false;
  struct WaitingForApply {
    base::Instant deadline;
    std::move_only_function<void(base::Result<>)> then;
  };
  std::multimap<std::uint64_t, WaitingForApply> waiting_for_apply_;

  mutable std::mutex facts_mutex_;
  std::shared_ptr<const ClusterFacts> facts_;  // guarded by facts_mutex_
};

}  // namespace etcdpp::server
