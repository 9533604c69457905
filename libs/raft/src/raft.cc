#include "raft.h"

#include <limits>

#include <etcdpp/raft/errc.h>

namespace etcdpp::raft {

base::Result<> Config::validate() const {
  const auto bad = [](const char* why) { return base::Error(Errc::kBadConfig, why); };
  if (id == kNone) return bad("cannot use none as id");
  if (is_local_target(id)) return bad("cannot use local target as id");
  if (heartbeat_ticks <= 0) return bad("heartbeat tick must be greater than 0");
  if (election_ticks <= heartbeat_ticks) return bad("election tick must be greater than heartbeat tick");
  if (election_ticks > std::numeric_limits<int>::max() / 2) return bad("election tick must be less than half of the largest int");
  if (storage == nullptr) return bad("storage cannot be nil");
  if (max_inflight_messages == 0) return bad("max inflight messages must be greater than 0");
  if (max_inflight_bytes != 0 && max_inflight_bytes < max_size_per_message) return bad("max inflight bytes must be >= max message size");
  if (read_only == ReadOnlyOption::kLeaseBased && !check_quorum)
    return bad("CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased");
  return {};
}

namespace {
std::uint64_t max_committed_size(const Config& config) {
  return config.max_committed_size_per_ready != 0 ? config.max_committed_size_per_ready
         : config.max_size_per_message != 0       ? config.max_size_per_message
                                                  : 1;
}
}  // namespace

Raft::Raft(const Config& config)
    : id_(config.id),
      say_(*config.logger),
      log_(*config.storage, say_, config.log_stale_acknowledgements ? say_ : Say(base::null_logger()), max_committed_size(config)),
      random_(config.seed),
      election_ticks_(config.election_ticks),
      heartbeat_ticks_(config.heartbeat_ticks),
      max_message_size_(config.max_size_per_message),
      max_uncommitted_size_(config.max_uncommitted_entries_size != 0 ? config.max_uncommitted_entries_size : kNoLimit),
      scan_page_size_(max_committed_size(config)),
      check_quorum_(config.check_quorum),
      pre_vote_(config.pre_vote),
      read_only_option_(config.read_only),
      disable_proposal_forwarding_(config.disable_proposal_forwarding),
      disable_conf_change_validation_(config.disable_conf_change_validation),
      step_down_on_removal_(config.step_down_on_removal) {
  tracker_.max_inflight_messages = config.max_inflight_messages;
  tracker_.max_inflight_bytes = config.max_inflight_bytes;
}

base::Result<std::unique_ptr<Raft>> Raft::create(const Config& config) {
  ETCDPP_TRY(config.validate());
  ETCDPP_ASSIGN(const Storage::InitialState initial, config.storage->initial_state());
  std::unique_ptr<Raft> raft(new Raft(config));
  const HardState& hard_state = initial.hard_state;
  RaftLog& log = raft->log_;

  ETCDPP_ASSIGN(ConfChanger::Outcome membership, ConfChanger::restore(raft->tracker_, log.last_index(), initial.conf_state));
  raft->switch_to(std::move(membership));
  if (!hard_state.empty()) {
    if (hard_state.commit > log.last_index())
      return base::Error(Errc::kBadConfig,
                         fmt::format("hard state's commit {} is beyond the log's end {}", hard_state.commit, log.last_index()));
    // What was compacted away was committed, even if the hard state that says so was not synced.
    log.set_committed(std::max(hard_state.commit, log.committed()));
    raft->term_ = hard_state.term;
    raft->vote_ = hard_state.vote;
  }
  if (config.applied != 0) {
    if (config.applied > log.committed() || config.applied < log.applied())
      return base::Error(Errc::kBadConfig, fmt::format("applied {} is out of range [{}, {}]", config.applied, log.applied(), log.committed()));
    log.applied_to(config.applied, 0);
  }
  raft->become_follower(raft->term_, kNone);

  std::string peers;
  for (NodeId voter : raft->tracker_.membership.voters.ids()) peers += fmt::format("{}{:x}", peers.empty() ? "" : ",", voter);
  const EntryId last = log.last_entry_id();
  raft->say_.info("newRaft {:x} [peers: [{}], term: {}, commit: {}, applied: {}, lastindex: {}, lastterm: {}]", raft->id_, peers,
                  raft->term_, log.committed(), log.applied(), last.index, last.term);
  return raft;
}

bool Raft::may_campaign_alone() const {
  return role_ != Role::kLeader && tracker_.is_sole_voter(id_) && promotable() && log_.applied() == log_.committed();
}

Status Raft::status() const {
  Status status{.id = id_,
                .hard_state = hard_state(),
                .soft_state = soft_state(),
                .applied = log_.applied(),
                .committed = log_.committed(),
                .first_index = log_.first_index(),
                .last_index = log_.last_index(),
                .lead_transferee = lead_transferee_,
                .conf_state = tracker_.membership.conf_state(),
                .progress = {}};
  if (role_ == Role::kLeader)
    for (const auto& [id, progress] : tracker_.progress) status.progress.push_back(progress.status(id));
  return status;
}

}  // namespace etcdpp::raft
