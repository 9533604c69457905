// Linearizable reads without a log entry (thesis 6.4): the commit index at arrival, once it is certain that this node
// still leads.
#include "raft.h"

namespace etcdpp::raft {

namespace {
constexpr std::size_t kMaxPostponedReads = 65536;
}

bool Raft::committed_in_current_term() const {
  const auto its_term = log_.term(log_.committed());
  return its_term && *its_term == term_;
}

void Raft::handle_read_index(Message& m) {
  if (!committed_in_current_term() && !has_bug(ClassicBug::kReadBeforeFirstCommit)) {
    // The true commit index is not known before something of this term is committed: after a crash not even to a sole
    // voter, since commit indices are not synced. (etcd answers a sole voter at once.)
    if (postponed_reads_.size() < kMaxPostponedReads) postponed_reads_.push_back(std::move(m));
    return;
  }
  start_read(m);
}

void Raft::start_read(Message& request) {
  if (read_only_option_ == ReadOnlyOption::kLeaseBased || tracker_.is_sole_voter(id_) || has_bug(ClassicBug::kStaleRead))
    return answer_read(std::move(request), log_.committed());
  if (read_only_.add(log_.committed(), std::move(request))) broadcast_heartbeat();
}

void Raft::take_confirmed_reads() {
  for (ReadOnly::Pending& read : read_only_.take_confirmed(tracker_.membership.voters, id_))
    answer_read(std::move(read.request), read.index);
}

void Raft::release_postponed_reads() {
  if (postponed_reads_.empty() || !committed_in_current_term()) return;
  for (Message& request : std::exchange(postponed_reads_, {})) start_read(request);
}

void Raft::answer_read(Message request, Index index) {
  if (request.from == kNone || request.from == id_) {
    read_states_.push_back({index, std::move(request.entries.front().data)});
    return;
  }
  send({.type = MessageType::kReadIndexResp, .to = request.from, .index = index, .entries = std::move(request.entries)});
}

}  // namespace etcdpp::raft
