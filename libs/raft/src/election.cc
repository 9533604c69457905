// Elections (thesis 3.4), pre-vote (9.6) and what candidates do.
#include <etcdpp/base/assert.h>
#include <etcdpp/raft/conf_change_codec.h>
#include <etcdpp/raft/errc.h>

#include "raft.h"

namespace etcdpp::raft {

namespace {
MessageType response_to(MessageType request) {
  return request == MessageType::kVote ? MessageType::kVoteResp : MessageType::kPreVoteResp;
}
}  // namespace

void Raft::draw_election_ticks() {
  randomized_election_ticks_ = election_ticks_ + static_cast<int>(random_.below(static_cast<std::uint64_t>(election_ticks_)));
}

void Raft::tick_election() {
  ++election_elapsed_;
  if (!promotable() || election_elapsed_ < randomized_election_ticks_) return;
  election_elapsed_ = 0;
  if (const auto stepped = step({.type = MessageType::kHup, .from = id_}); !stepped)
    say_.debug("error occurred during election: {}", stepped.error().message());
}

bool Raft::promotable() const {
  const Progress* self = tracker_.progress.find(id_);
  return self && !self->is_learner && !log_.has_next_or_in_progress_snapshot();
}

bool Raft::has_unapplied_conf_changes() const {
  if (log_.applied() >= log_.committed() || has_bug(ClassicBug::kCampaignWithUnappliedConfChange)) return false;
  bool found = false;
  const auto scanned = log_.scan(log_.applied() + 1, log_.committed() + 1, scan_page_size_, [&](std::span<const Entry> page) {
    for (const Entry& entry : page) found |= entry.type != EntryType::kNormal;
    return !found;
  });
  // What cannot be read may be one.
  return found || !scanned;
}

void Raft::hup(Campaign kind) {
  if (role_ == Role::kLeader) return say_.debug("{:x} ignoring MsgHup because already leader", id_);
  if (!promotable()) return say_.warn("{:x} is unpromotable and can not campaign", id_);
  if (has_unapplied_conf_changes())
    return say_.warn("{:x} cannot campaign at term {} since there are still pending configuration changes to apply", id_, term_);
  if (term_ >= kNoLimit - 1) return say_.error("{:x} cannot campaign: term {} is the last", id_, term_);
  say_.info("{:x} is starting a new election at term {}", id_, term_);
  campaign(kind);
}

void Raft::campaign(Campaign kind) {
  const bool pre = kind == Campaign::kPreElection;
  if (pre) become_pre_candidate();
  else become_candidate();
  const MessageType request = pre ? MessageType::kPreVote : MessageType::kVote;
  const Term term = pre ? term_ + 1 : term_;
  const EntryId last = log_.last_entry_id();
  for (NodeId id : tracker_.membership.voters.ids()) {
    if (id == id_) {
      // Our own vote counts once it is durable, like any other.
      send({.type = response_to(request), .to = id, .term = term});
      continue;
    }
    say_.info("{:x} [logterm: {}, index: {}] sent {} request to {:x} at term {}", id_, last.term, last.index, to_string(request), id, term_);
    send({.type = request, .to = id, .term = term, .log_term = last.term, .index = last.index,
          .context = kind == Campaign::kTransfer ? "CampaignTransfer" : ""});
  }
}

void Raft::become_candidate() {
  ETCDPP_ASSERT(role_ != Role::kLeader, "invalid transition [leader -> candidate]");
  reset(term_ + 1);
  vote_ = id_;
  role_ = Role::kCandidate;
  say_.info("{:x} became candidate at term {}", id_, term_);
}

void Raft::become_pre_candidate() {
  ETCDPP_ASSERT(role_ != Role::kLeader, "invalid transition [leader -> pre-candidate]");
  // Neither term nor vote changes: nobody is disturbed until this could be won.
  tracker_.reset_votes();
  lead_ = kNone;
  role_ = Role::kPreCandidate;
  say_.info("{:x} became pre-candidate at term {}", id_, term_);
}

void Raft::become_leader() {
  ETCDPP_ASSERT(role_ != Role::kFollower, "invalid transition [follower -> leader]");
  reset(term_);
  lead_ = id_;
  role_ = Role::kLeader;
  Progress* self = tracker_.progress.find(id_);
  ETCDPP_ASSERT(self, "only members become leaders");
  self->become_replicate();
  self->recent_active = true;
  // The log may hold a conf change that is not committed yet; assume its last entry is one.
  pending_conf_index_ = log_.last_index();
  // Older entries are committed by committing one of this term (thesis 3.6.2).
  const bool appended = append_entries(std::vector<Entry>(1));
  ETCDPP_ASSERT(appended, "an empty entry is never refused");
  say_.info("{:x} became leader at term {}", id_, term_);
}

void Raft::answer_vote_request(const Message& m) {
  const bool can_vote = vote_ == m.from ||                      // asked again
                        (vote_ == kNone && lead_ == kNone) ||   // free
                        (m.type == MessageType::kPreVote && m.term > term_) || has_bug(ClassicBug::kVoteTwiceInATerm);
  const EntryId last = log_.last_entry_id();
  const bool granted = can_vote && (log_.is_up_to_date({m.log_term, m.index}) || has_bug(ClassicBug::kVoteForShorterLog));
  // A learner votes as well: whoever asks it may know a configuration in which it is a voter already.
  say_.info("{:x} [logterm: {}, index: {}, vote: {:x}] {} {} {} {:x} [logterm: {}, index: {}] at term {}", id_, last.term, last.index,
            vote_, granted ? "cast" : "rejected", to_string(m.type), granted ? "for" : "from", m.from, m.log_term, m.index, term_);
  if (!granted) return send({.type = response_to(m.type), .to = m.from, .term = term_, .reject = true});
  // A pre-vote is answered with the term it asks about, or its sender would ignore the answer.
  send({.type = response_to(m.type), .to = m.from, .term = m.term});
  if (m.type == MessageType::kVote) {
    election_elapsed_ = 0;
    vote_ = m.from;
  }
}

Tracker::Tally Raft::poll(NodeId from, MessageType type, bool granted) {
  say_.info("{:x} received {}{} from {:x} at term {}", id_, to_string(type), granted ? "" : " rejection", from, term_);
  tracker_.record_vote(from, granted);
  return tracker_.tally_votes();
}

base::Result<> Raft::step_candidate(Message& m) {
  switch (m.type) {
    case MessageType::kProp:
      say_.info("{:x} no leader at term {}; dropping proposal", id_, term_);
      return base::Error(Errc::kProposalDropped);
    // Somebody else was elected in this term.
    case MessageType::kApp:
      become_follower(m.term, m.from);
      handle_append(m);
      return {};
    case MessageType::kHeartbeat:
      become_follower(m.term, m.from);
      handle_heartbeat(m);
      return {};
    case MessageType::kSnap:
      become_follower(m.term, m.from);
      handle_snapshot(m);
      return {};
    case MessageType::kPreVoteResp:
    case MessageType::kVoteResp: {
      // Answers to an earlier pre-vote may come after the vote was begun.
      const bool pre = role_ == Role::kPreCandidate;
      if (pre != (m.type == MessageType::kPreVoteResp)) return {};
      const Tracker::Tally tally = poll(m.from, m.type, !m.reject);
      say_.info("{:x} has received {} {} votes and {} vote rejections", id_, tally.granted, to_string(m.type), tally.rejected);
      if (tally.result == VoteResult::kWon) {
        if (pre) {
          campaign(Campaign::kElection);
        } else if (!tracker_.progress.find(id_)) {
          // Removed while the votes were on their way.
          become_follower(term_, kNone);
        } else {
          become_leader();
          broadcast_append();
        }
      } else if (tally.result == VoteResult::kLost) {
        // A lost pre-vote has raised nobody's term; what was answered with is the term of whoever refused.
        become_follower(term_, kNone);
      }
      return {};
    }
    case MessageType::kTimeoutNow:
      say_.debug("{:x} [term {} state {}] ignored MsgTimeoutNow from {:x}", id_, term_, to_string(role_), m.from);
      return {};
    default: return {};
  }
}

}  // namespace etcdpp::raft
