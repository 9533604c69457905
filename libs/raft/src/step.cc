// What every message meets first: is it of our term, and which part of the algorithm does it belong to.
#include <algorithm>

#include <etcdpp/raft/errc.h>

#include "raft.h"

namespace etcdpp::raft {

namespace {

/// A leader tells its transferee to campaign in spite of everybody's lease.
bool forced_by_transfer(const Message& m) { return m.context == "CampaignTransfer"; }

/// No log reaches it; from a snapshot of such an index the log could soon not be counted on.
constexpr Index kLastIndex = kNoLimit / 4;

bool from_a_leader(MessageType type) {
  return type == MessageType::kApp || type == MessageType::kHeartbeat || type == MessageType::kSnap;
}

}  // namespace

base::Result<> Raft::check(const Message& m) const {
  const auto malformed = [&](const char* why) {
    return base::Error(Errc::kMalformedMessage, fmt::format("{} from {:x}: {}", to_string(m.type), m.from, why));
  };
  switch (m.type) {
    case MessageType::kApp: {
      if (m.index > kLastIndex - std::min<Index>(kLastIndex, m.entries.size())) return malformed("index out of range");
      Index index = m.index;
      Term term = m.log_term;
      for (const Entry& entry : m.entries) {
        if (entry.index != ++index) return malformed("entries are not contiguous");
        if (entry.term < term || entry.term > m.term) return malformed("terms of entries are out of order");
        term = entry.term;
      }
      return {};
    }
    case MessageType::kProp:
      if (m.entries.empty()) return malformed("no entries");
      return {};
    case MessageType::kReadIndex:
      if (m.entries.size() != 1) return malformed("not one entry");
      return {};
    case MessageType::kSnap:
      if (m.snapshot && m.snapshot->metadata.index > kLastIndex) return malformed("index out of range");
      return {};
    default: return {};
  }
}

base::Result<> Raft::step(Message m) {
  ETCDPP_TRY(check(m));
  if (m.term == 0) {
    // From ourselves, or of a kind without term (proposals and reads may be forwarded).
  } else if (m.term > term_) {
    if (!take_higher_term(m)) return {};
  } else if (m.term < term_) {
    answer_lower_term(m);
    return {};
  }

  switch (m.type) {
    case MessageType::kHup: hup(pre_vote_ ? Campaign::kPreElection : Campaign::kElection); return {};
    case MessageType::kStorageAppendResp: storage_appended(m); return {};
    case MessageType::kStorageApplyResp: storage_applied(m); return {};
    case MessageType::kVote:
    case MessageType::kPreVote: answer_vote_request(m); return {};
    default: return step_by_role(m);
  }
}

base::Result<> Raft::step_by_role(Message& m) {
  switch (role_) {
    case Role::kLeader: return step_leader(m);
    case Role::kFollower: return step_follower(m);
    case Role::kCandidate:
    case Role::kPreCandidate: return step_candidate(m);
  }
  return {};
}

bool Raft::take_higher_term(const Message& m) {
  if (m.type == MessageType::kVote || m.type == MessageType::kPreVote) {
    // Whoever hears a leader within the election timeout is not moved by somebody who does not (thesis 4.2.3).
    const bool in_lease = check_quorum_ && lead_ != kNone && election_elapsed_ < election_ticks_;
    if (in_lease && !forced_by_transfer(m)) {
      const EntryId last = log_.last_entry_id();
      say_.info("{:x} [logterm: {}, index: {}, vote: {:x}] ignored {} from {:x} [logterm: {}, index: {}] at term {}: lease is not expired (remaining ticks: {})",
                id_, last.term, last.index, vote_, to_string(m.type), m.from, m.log_term, m.index, term_,
                election_ticks_ - election_elapsed_);
      return false;
    }
  }
  // A pre-vote asks about a term that nobody is in yet; granted, it comes back with that term.
  if (m.type == MessageType::kPreVote || (m.type == MessageType::kPreVoteResp && !m.reject)) return true;
  say_.info("{:x} [term: {}] received a {} message with higher term from {:x} [term: {}]", id_, term_, to_string(m.type), m.from, m.term);
  become_follower(m.term, from_a_leader(m.type) ? m.from : kNone);
  return true;
}

void Raft::answer_lower_term(const Message& m) {
  if ((check_quorum_ || pre_vote_) && (m.type == MessageType::kHeartbeat || m.type == MessageType::kApp)) {
    // A leader that lost touch, or we did and raised our term meanwhile: nobody would answer our votes while they hear
    // their leader, so tell that leader our term and it steps down.
    send({.type = MessageType::kAppResp, .to = m.from});
  } else if (m.type == MessageType::kPreVote) {
    // Without an answer its sender would ask for ever.
    const EntryId last = log_.last_entry_id();
    say_.info("{:x} [logterm: {}, index: {}, vote: {:x}] rejected {} from {:x} [logterm: {}, index: {}] at term {}", id_, last.term,
              last.index, vote_, to_string(m.type), m.from, m.log_term, m.index, term_);
    send({.type = MessageType::kPreVoteResp, .to = m.from, .term = term_, .reject = true});
  } else if (m.type == MessageType::kStorageAppendResp) {
    // What was written under an older term may have been replaced since: only its snapshot still counts.
    if (m.index != 0)
      say_.info("{:x} [term: {}] ignored entry appends from a {} message with lower term [term: {}]", id_, term_, to_string(m.type), m.term);
    if (m.snapshot) installed_snapshot(*m.snapshot);
  } else {
    say_.info("{:x} [term: {}] ignored a {} message with lower term from {:x} [term: {}]", id_, term_, to_string(m.type), m.from, m.term);
  }
}

void Raft::storage_appended(const Message& m) {
  if (m.index != 0) log_.stable_to({m.log_term, m.index});
  if (m.snapshot) installed_snapshot(*m.snapshot);
}

void Raft::storage_applied(const Message& m) {
  if (m.entries.empty()) return;
  applied_to(m.entries.back().index, encoded_size(m.entries));
  reduce_uncommitted(payload_size(m.entries));
}

void Raft::installed_snapshot(const Snapshot& snapshot) {
  log_.stable_snapshot_to(snapshot.metadata.index);
  applied_to(snapshot.metadata.index, 0);
}

void Raft::applied_to(Index index, std::uint64_t encoded) {
  const Index applied = std::max(index, log_.applied());
  if (applied > log_.committed()) return say_.error("{:x} ignored an acknowledgement of index {} beyond the commit index {}", id_, index, log_.committed());
  log_.applied_to(applied, encoded);

  const Membership& membership = tracker_.membership;
  if (!membership.auto_leave || applied < pending_conf_index_ || role_ != Role::kLeader) return;
  // The joint configuration is applied and wants to be left: an entry without data says so, which no size limit refuses.
  // If a transfer of leadership refuses it, it is tried again when the next entry is applied.
  const std::string before = membership.describe();
  Message leave{.type = MessageType::kProp, .from = id_};
  leave.entries.push_back({.type = EntryType::kConfChangeV2});
  if (const auto proposed = step(std::move(leave)); !proposed)
    say_.debug("not initiating automatic transition out of joint configuration {}: {}", before, proposed.error().message());
  else
    say_.info("initiating automatic transition out of joint configuration {}", before);
}

void Raft::reduce_uncommitted(std::uint64_t payload) {
  // A follower never counted them, a new leader not all of them.
  uncommitted_size_ -= std::min(uncommitted_size_, payload);
}

void Raft::tick() {
  if (role_ == Role::kLeader) tick_heartbeat();
  else tick_election();
}

void Raft::send(Message m) {
  if (m.from == kNone) m.from = id_;
  switch (m.type) {
    // Their term is part of what they say, and not always ours.
    case MessageType::kVote:
    case MessageType::kVoteResp:
    case MessageType::kPreVote:
    case MessageType::kPreVoteResp:
    // These may be forwarded, and mean the same in any term.
    case MessageType::kProp:
    case MessageType::kReadIndex: break;
    default: m.term = term_;
  }
  // These promise that something of ours is durable: an appended entry, or a vote.
  if (has_bug(ClassicBug::kAcknowledgeBeforeDurable) && m.type == MessageType::kAppResp && m.to != id_)
    messages_.push_back(std::move(m));
  else if (m.type == MessageType::kAppResp || m.type == MessageType::kVoteResp || m.type == MessageType::kPreVoteResp)
    messages_after_append_.push_back(std::move(m));
  else
    messages_.push_back(std::move(m));
}

void Raft::reset(Term term) {
  if (term_ != term) {
    term_ = term;
    vote_ = kNone;
  }
  lead_ = kNone;
  election_elapsed_ = 0;
  heartbeat_elapsed_ = 0;
  draw_election_ticks();
  abort_transfer();
  tracker_.reset_votes();
  const Index last = log_.last_index();
  for (auto& [id, progress] : tracker_.progress) {
    progress = {.match = id == id_ ? last : 0, .next = last + 1, .is_learner = progress.is_learner, .inflights = tracker_.new_inflights()};
  }
  pending_conf_index_ = 0;
  uncommitted_size_ = 0;
  read_only_ = {};
}

void Raft::become_follower(Term term, NodeId lead) {
  reset(term);
  lead_ = lead;
  role_ = Role::kFollower;
  say_.info("{:x} became follower at term {}", id_, term_);
}

}  // namespace etcdpp::raft
