#pragma once

#include <memory>
#include <span>
#include <vector>

#include <etcdpp/base/random.h>
#include <etcdpp/base/result.h>
#include <etcdpp/raft/config.h>
#include <etcdpp/raft/ready.h>
#include <etcdpp/raft/status.h>

#include "classic_bugs.h"
#include "conf_changer.h"
#include "raft_log.h"
#include "read_only.h"
#include "say.h"
#include "tracker.h"

namespace etcdpp::raft {

/// The algorithm: one member's state and what each message does to it (thesis chapters 3, 4, 6 and 9).
///
/// Its parts, a file each: step.cc (terms, and which part a message belongs to), election.cc, follower.cc, leader.cc,
/// replication.cc, read_index.cc, snapshot.cc, membership.cc. Outgoing messages gather in two lists that RawNode turns
/// into a Ready: those that may leave at once, and those that promise something of this disk and wait for it.
class Raft {
 public:
  /// Built by create(); see RawNode::create for the errors.
  static base::Result<std::unique_ptr<Raft>> create(const Config& config);

  // ---- step.cc
  /// A message of any origin, already vetted by RawNode.
  base::Result<> step(Message message);
  void tick();

  // ---- membership.cc
  base::Result<ConfState> apply_conf_change(const ConfChangeV2& change, Index index);

  // ---- what storage and the application acknowledge
  void stable_to(EntryId id) { log_.stable_to(id); }
  void installed_snapshot(const Snapshot& snapshot);
  /// Entries up to `index` are applied; `encoded` and `payload` are the sizes of those newly so.
  void applied_to(Index index, std::uint64_t encoded);
  void reduce_uncommitted(std::uint64_t payload);

  // ---- bootstrap, in the order RawNode::bootstrap calls them
  void become_follower(Term term, NodeId lead);
  RaftLog& log() { return log_; }

  const RaftLog& log() const { return log_; }
  const Tracker& tracker() const { return tracker_; }
  NodeId id() const { return id_; }
  Term term() const { return term_; }
  NodeId vote() const { return vote_; }
  NodeId lead() const { return lead_; }
  Role role() const { return role_; }
  HardState hard_state() const { return {term_, has_bug(ClassicBug::kVoteNotPersisted) ? kNone : vote_, log_.committed()}; }
  SoftState soft_state() const { return {lead_, role_}; }
  NodeId lead_transferee() const { return lead_transferee_; }
  Index pending_conf_index() const { return pending_conf_index_; }
  bool may_campaign_alone() const;
  Status status() const;

  std::vector<Message>& messages() { return messages_; }
  const std::vector<Message>& messages() const { return messages_; }
  std::vector<Message>& messages_after_append() { return messages_after_append_; }
  const std::vector<Message>& messages_after_append() const { return messages_after_append_; }
  std::vector<ReadState>& read_states() { return read_states_; }
  const std::vector<ReadState>& read_states() const { return read_states_; }

  void set_randomized_election_ticks(int ticks) { randomized_election_ticks_ = ticks; }

 private:
  enum class Campaign { kPreElection, kElection, kTransfer };

  explicit Raft(const Config& config);

  // ---- step.cc
  /// Fields that no correct peer sends together.
  base::Result<> check(const Message& message) const;
  /// A message of a higher term. False when it is to be ignored.
  bool take_higher_term(const Message& message);
  void answer_lower_term(const Message& message);
  void storage_appended(const Message& message);
  void storage_applied(const Message& message);
  base::Result<> step_by_role(Message& message);
  void send(Message message);
  void reset(Term term);

  // ---- election.cc
  void become_candidate();
  void become_pre_candidate();
  void become_leader();
  bool promotable() const;
  bool has_unapplied_conf_changes() const;
  void hup(Campaign kind);
  void campaign(Campaign kind);
  void answer_vote_request(const Message& message);
  Tracker::Tally poll(NodeId from, MessageType type, bool granted);
  base::Result<> step_candidate(Message& message);
  void tick_election();
  void draw_election_ticks();

  // ---- follower.cc
  base::Result<> step_follower(Message& message);
  void follow(NodeId lead);
  void handle_append(Message& message);
  void handle_heartbeat(const Message& message);

  // ---- leader.cc
  base::Result<> step_leader(Message& message);
  base::Result<> handle_proposal(Message& message);
  /// Why this conf change may not enter the log now; empty if it may.
  std::string conf_change_obstacle(bool leaves_joint) const;
  void handle_heartbeat_response(const Message& message, Progress& from);
  void handle_transfer(const Message& message, const Progress& transferee);
  void check_quorum();
  void tick_heartbeat();
  void abort_transfer() { lead_transferee_ = kNone; }
  void send_timeout_now(NodeId to);

  // ---- replication.cc
  bool append_entries(std::vector<Entry> entries);
  bool increase_uncommitted(std::span<const Entry> entries);
  void send_append(NodeId to) { maybe_send_append(to, true); }
  bool maybe_send_append(NodeId to, bool send_if_empty);
  void broadcast_append();
  void send_heartbeat(NodeId to, Progress& progress, const base::Bytes& context);
  void broadcast_heartbeat();
  void handle_append_response(const Message& message, Progress& from);
  bool maybe_commit();

  // ---- read_index.cc
  void handle_read_index(Message& message);
  void start_read(Message& request);
  void answer_read(Message request, Index index);
  void take_confirmed_reads();
  void release_postponed_reads();
  bool committed_in_current_term() const;

  // ---- snapshot.cc
  bool maybe_send_snapshot(NodeId to, Progress& progress);
  void handle_snapshot(const Message& message);
  bool restore(const std::shared_ptr<const Snapshot>& snapshot);
  void handle_snapshot_status(const Message& message, Progress& from);
  void handle_unreachable(const Message& message, Progress& from);

  // ---- membership.cc
  ConfState switch_to(ConfChanger::Outcome next);

  const NodeId id_;
  const Say say_;
  RaftLog log_;
  Tracker tracker_;
  base::Random random_;

  // Persistent (thesis figure 3.1); the log is the rest of it.
  Term term_ = 0;
  NodeId vote_ = kNone;

  NodeId lead_ = kNone;
  Role role_ = Role::kFollower;
  bool is_learner_ = false;
  NodeId lead_transferee_ = kNone;
  /// No conf change is proposed before the one at this index is applied; on a new leader whatever its log may hold.
  Index pending_conf_index_ = 0;
  /// Where the membership in force came from a snapshot: what is committed up to there is part of it.
  Index snapshot_index_ = 0;
  std::uint64_t uncommitted_size_ = 0;
  ReadOnly read_only_;
  /// Reads that arrived before this leader committed anything of its term. They outlive that term: whenever this node
  /// leads again, its commit index is no older than they are.
  std::vector<Message> postponed_reads_;

  std::vector<Message> messages_;
  std::vector<Message> messages_after_append_;
  std::vector<ReadState> read_states_;

  int election_elapsed_ = 0;
  int heartbeat_elapsed_ = 0;
  int randomized_election_ticks_ = 0;

  const int election_ticks_;
  const int heartbeat_ticks_;
  const std::uint64_t max_message_size_;
  const std::uint64_t max_uncommitted_size_;
  const std::uint64_t scan_page_size_;
  const bool check_quorum_;
  const bool pre_vote_;
  const ReadOnlyOption read_only_option_;
  const bool disable_proposal_forwarding_;
  const bool disable_conf_change_validation_;
  const bool step_down_on_removal_;
};

}  // namespace etcdpp::raft
