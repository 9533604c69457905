#pragma once

namespace etcdpp::raft {

/// Mistakes that implementations of raft have been known for, put back on purpose in one test program to show that the
/// nemesis finds each. In the library itself every question answers no at compile time.
enum class ClassicBug {
  kNoBug,
  kCommitOlderTermByCounting,       ///< Thesis 3.6.2, figure 3.7.
  kVoteNotPersisted,                ///< A restart votes again in the same term.
  kVoteTwiceInATerm,
  kVoteForShorterLog,               ///< No election restriction.
  kAcknowledgeBeforeDurable,        ///< A follower's answer does not wait for its disk.
  kTruncateWithoutConflict,         ///< An old append that matches cuts off what came after it.
  kConfChangeWhilePending,          ///< A second change enters the log before the first is applied.
  kHeartbeatCommitUnchecked,        ///< A heartbeat commits what is not known to match.
  kOutgoingHalfIgnored,             ///< A joint configuration decides with its new half alone.
  kCampaignWithUnappliedConfChange, ///< The old configuration elects beside the new one.
  kStaleRead,                       ///< ReadIndex without asking a quorum.
  kReadBeforeFirstCommit,           ///< ReadIndex of a leader that does not know the commit index yet.
  kCommitBeyondMatch,               ///< A follower commits to its log's end, not to what the append has shown to match.
  kSnapshotOfThePast,               ///< A snapshot below the commit index is installed.
  kLearnersCount,                   ///< Learners' disks count for a majority.
  kReadConfirmedByEarlierRound,     ///< An answer to an older heartbeat confirms a younger read.
  kCount,
};

#ifdef ETCDPP_RAFT_CLASSIC_BUGS
/// The one that is in force.
inline ClassicBug classic_bug = ClassicBug::kNoBug;
inline bool has_bug(ClassicBug bug) { return classic_bug == bug; }
#else
constexpr bool has_bug(ClassicBug) { return false; }
#endif

}  // namespace etcdpp::raft
