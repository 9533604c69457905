// What followers do with a leader's messages, and with their clients' requests: pass them on.
#include <etcdpp/raft/errc.h>

#include "raft.h"

namespace etcdpp::raft {

void Raft::follow(NodeId lead) {
  election_elapsed_ = 0;
  lead_ = lead;
}

base::Result<> Raft::step_follower(Message& m) {
  switch (m.type) {
    case MessageType::kProp:
      if (lead_ == kNone) {
        say_.info("{:x} no leader at term {}; dropping proposal", id_, term_);
        return base::Error(Errc::kProposalDropped);
      }
      if (disable_proposal_forwarding_) {
        say_.info("{:x} not forwarding to leader {:x} at term {}; dropping proposal", id_, lead_, term_);
        return base::Error(Errc::kProposalDropped);
      }
      m.to = lead_;
      send(std::move(m));
      return {};
    case MessageType::kApp:
      follow(m.from);
      handle_append(m);
      return {};
    case MessageType::kHeartbeat:
      follow(m.from);
      handle_heartbeat(m);
      return {};
    case MessageType::kSnap:
      follow(m.from);
      handle_snapshot(m);
      return {};
    case MessageType::kTransferLeader:
      if (lead_ == kNone) {
        say_.info("{:x} no leader at term {}; dropping leader transfer msg", id_, term_);
        return {};
      }
      m.to = lead_;
      send(std::move(m));
      return {};
    case MessageType::kForgetLeader:
      if (read_only_option_ == ReadOnlyOption::kLeaseBased) {
        // The leader's lease rests on our not voting for anybody else.
        say_.error("ignoring MsgForgetLeader due to ReadOnlyLeaseBased");
        return {};
      }
      if (lead_ != kNone) {
        say_.info("{:x} forgetting leader {:x} at term {}", id_, lead_, term_);
        lead_ = kNone;
      }
      return {};
    case MessageType::kTimeoutNow:
      say_.info("{:x} [term {}] received MsgTimeoutNow from {:x} and starts an election to get leadership.", id_, term_, m.from);
      // No pre-vote even if configured: the leader itself wants it, nobody is to be disturbed.
      hup(Campaign::kTransfer);
      return {};
    case MessageType::kReadIndex:
      if (lead_ == kNone) {
        say_.info("{:x} no leader at term {}; dropping index reading msg", id_, term_);
        return {};
      }
      m.to = lead_;
      send(std::move(m));
      return {};
    case MessageType::kReadIndexResp:
      if (m.entries.size() != 1) {
        say_.error("{:x} invalid format of MsgReadIndexResp from {:x}, entries count: {}", id_, m.from, m.entries.size());
        return {};
      }
      read_states_.push_back({m.index, std::move(m.entries.front().data)});
      return {};
    default: return {};
  }
}

void Raft::handle_append(Message& m) {
  if (m.index < log_.committed()) {
    // Old news; say how far we are.
    return send({.type = MessageType::kAppResp, .to = m.from, .index = log_.committed()});
  }
  const auto appended = log_.maybe_append({m.log_term, m.index}, m.entries, m.commit);
  if (!appended) return say_.error("{:x} dropped MsgApp from {:x}: {}", id_, m.from, appended.error().message());
  if (*appended) return send({.type = MessageType::kAppResp, .to = m.from, .index = **appended});

  say_.debug("{:x} [logterm: {}, index: {}] rejected MsgApp [logterm: {}, index: {}] from {:x}", id_, log_.term(m.index).value_or(0),
             m.index, m.log_term, m.index, m.from);
  // Our log cannot match above its end, nor where its terms are above the leader's: the hint skips all that.
  const EntryId hint = log_.find_conflict_by_term(std::min(m.index, log_.last_index()), m.log_term);
  send({.type = MessageType::kAppResp, .to = m.from, .log_term = hint.term, .index = m.index, .reject = true, .reject_hint = hint.index});
}

void Raft::handle_heartbeat(const Message& m) {
  if (!log_.commit_to(m.commit)) {
    // The leader counts entries as ours that we do not have: this log lost what it had acknowledged. Taking part could
    // lose committed entries, so we do not answer.
    return say_.error("tocommit({}) is out of range [lastIndex({})]. Was the raft log corrupted, truncated, or lost?", m.commit,
                      log_.last_index());
  }
  send({.type = MessageType::kHeartbeatResp, .to = m.from, .context = m.context});
}

}  // namespace etcdpp::raft
