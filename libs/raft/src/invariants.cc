#include <etcdpp/raft/invariants.h>

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include <etcdpp/raft/describe.h>

#include "raft.h"

namespace etcdpp::raft {

std::string check_invariants(const RawNode& node) {
  const Raft& raft = node.raft();
  const RaftLog& log = raft.log();
  const NodeId id = raft.id();
  if (log.applied() > log.applying() || log.applying() > log.committed() || log.committed() > log.last_index())
    return fmt::format("{:x}: applied ≤ applying ≤ committed ≤ last index does not hold: {}, last {}", id, log.describe(), log.last_index());
  if (log.first_index() > log.last_index() + 1) return fmt::format("{:x}: the log begins behind its end: {}", id, log.describe());
  Term term = 0;
  Index index = log.unstable().offset();
  for (const Entry& entry : log.unstable().entries()) {
    if (entry.index != index++) return fmt::format("{:x}: unstable entries are not contiguous at {}", id, entry.index);
    if (entry.term < term || entry.term > raft.term()) return fmt::format("{:x}: terms of the log fall at {}", id, entry.index);
    term = entry.term;
  }
  if (raft.role() == Role::kLeader && raft.lead() != id) return fmt::format("{:x}: a leader follows {:x}", id, raft.lead());
  if (raft.role() != Role::kLeader && raft.lead() == id) return fmt::format("{:x}: follows itself without leading", id);
  if (raft.role() == Role::kLeader)
    for (const auto& [member, progress] : raft.tracker().progress) {
      if (progress.match >= progress.next) return fmt::format("{:x}: match ≥ next for {:x}: {}", id, member, progress.describe());
      if (progress.match > log.last_index()) return fmt::format("{:x}: {:x} matches beyond the log: {}", id, member, progress.describe());
    }
  return {};
}

std::string ClusterInvariants::observe(const RawNode& node) {
  for (const auto& check : {&ClusterInvariants::observe_log, &ClusterInvariants::observe_committed, &ClusterInvariants::observe_leadership})
    if (std::string broken = (this->*check)(node); !broken.empty()) return broken;
  return {};
}

/// Log matching by induction: entries of equal index and term are equal and follow entries of equal term, wherever and
/// whenever they are in a log; so the logs before them are equal too.
std::string ClusterInvariants::observe_log(const RawNode& node) {
  if (std::string broken = check_invariants(node); !broken.empty()) return broken;
  const RaftLog& log = node.raft().log();
  const auto entries = log.unstable().entries();
  if (entries.empty()) return {};
  Term previous_term = log.term(entries.front().index - 1).value_or(0);
  for (const Entry& entry : entries) {
    std::vector<Seen>& here = seen_[entry.index];
    const auto same = std::ranges::find(here, entry.term, &Seen::term);
    if (same == here.end()) {
      here.push_back({entry.term, previous_term, entry});
    } else if (same->previous_term != previous_term || same->entry != entry) {
      return fmt::format("log matching: {:x} has {} behind an entry of term {}, where {} was behind one of term {}", node.raft().id(),
                         describe(entry), previous_term, describe(same->entry), same->previous_term);
    }
    previous_term = entry.term;
  }
  return {};
}

std::string ClusterInvariants::observe_committed(const RawNode& node) {
  const Raft& raft = node.raft();
  const RaftLog& log = raft.log();
  const NodeId id = raft.id();
  Index& seen = committed_seen_[id];
  if (log.committed() < seen) return fmt::format("monotonic commit: {:x} went back from {} to {}", id, seen, log.committed());
  // Entries that this node newly knows as committed are everybody's.
  const Index from = std::max(seen + 1, log.first_index());
  seen = log.committed();
  if (log.committed() < from) return {};
  std::string broken;
  const auto scanned = log.scan(from, log.committed() + 1, kNoLimit, [&](std::span<const Entry> page) {
    for (const Entry& entry : page) {
      if (entry.index <= committed_.size()) {
        if (committed_[entry.index - 1].entry != entry)
          broken = fmt::format("state machine safety: {:x} committed {} where {} was committed", id, describe(entry),
                               describe(committed_[entry.index - 1].entry));
      } else if (entry.index == committed_.size() + 1) {
        const std::uint64_t state = state_at(committed_.size()) * 1099511628211u + std::hash<std::string_view>()(entry.data.view()) + entry.index;
        committed_.push_back({entry, raft.term(), state});
      } else {
        broken = fmt::format("{:x} committed {} before anybody committed what is before it", id, describe(entry));
      }
      if (!broken.empty()) return false;
    }
    return true;
  });
  if (!scanned) return fmt::format("{:x}: committed entries cannot be read: {}", id, scanned.error().message());
  return broken;
}

/// One leader a term, and it has everything that was committed in earlier terms.
std::string ClusterInvariants::observe_leadership(const RawNode& node) {
  const Raft& raft = node.raft();
  if (raft.role() != Role::kLeader) return {};
  Leader& leader = leaders_.try_emplace(raft.term(), Leader{raft.id()}).first->second;
  if (leader.id != raft.id()) return fmt::format("election safety: {:x} and {:x} lead in term {}", leader.id, raft.id(), raft.term());
  for (Index index = std::max(raft.log().first_index(), leader.complete_up_to + 1); index <= committed_.size(); ++index) {
    const Committed& committed = committed_[index - 1];
    if (committed.in_term >= raft.term()) continue;
    const auto its_term = raft.log().term(index);
    if (!its_term || *its_term != committed.entry.term)
      return fmt::format("leader completeness: {:x} leads in term {} without {}, committed in term {}", raft.id(), raft.term(),
                         describe(committed.entry), committed.in_term);
  }
  leader.complete_up_to = committed_.size();
  return {};
}

std::string ClusterInvariants::applying(const Entry& entry) const {
  if (entry.index == 0 || entry.index > committed_.size()) return fmt::format("state machine safety: {} is applied uncommitted", describe(entry));
  if (committed_[entry.index - 1].entry != entry)
    return fmt::format("state machine safety: {} is applied where {} was committed", describe(entry), describe(committed_[entry.index - 1].entry));
  return {};
}

}  // namespace etcdpp::raft
