#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <etcdpp/base/result.h>
#include <etcdpp/raft/storage.h>
#include <etcdpp/raft/types.h>

#include "say.h"
#include "unstable.h"

namespace etcdpp::raft {

/// The replicated log: storage, and the unstable tail over it. first_index and last_index look at the tail first.
///
/// applied ≤ applying ≤ committed ≤ last_index. Applying is what was handed out to be applied; its outstanding size is
/// limited, so that a slow application holds back the rest here.
class RaftLog {
 public:
  /// Everything in storage is taken as uncommitted; set_committed comes from the hard state.
  RaftLog(Storage& storage, Say say, Say unstable_say, std::uint64_t max_applying_size);

  Index committed() const { return committed_; }
  Index applied() const { return applied_; }
  Index applying() const { return applying_; }
  const Unstable& unstable() const { return unstable_; }
  Storage& storage() const { return storage_; }

  Index first_index() const;
  Index last_index() const;
  EntryId last_entry_id() const;
  /// kCompacted before first_index() - 1, kUnavailable after last_index().
  base::Result<Term> term(Index i) const;
  bool matches(EntryId id) const;
  /// The election restriction: a log whose last entry is `theirs` has at least everything that ours has (thesis 3.6.1).
  bool is_up_to_date(EntryId theirs) const;

  /// Appends `out` with entries from `from` on, within max_bytes but at least one. kCompacted when they are gone.
  base::Result<> entries(Index from, std::uint64_t max_bytes, std::vector<Entry>& out) const;
  /// Calls `visit` with pages of [lo, hi) of at most page_bytes until it returns false.
  base::Result<> scan(Index lo, Index hi, std::uint64_t page_bytes,
                      const std::function<bool(std::span<const Entry>)>& visit) const;

  /// A follower's append behind `previous`: entries that we have already are skipped, from the first conflict on ours
  /// are replaced; then commits up to `committed`, as far as these entries reach. Returns the last index of the append,
  /// nothing if `previous` does not match. kMalformedMessage if a committed entry would be replaced.
  base::Result<std::optional<Index>> maybe_append(EntryId previous, std::span<Entry> entries, Index committed);
  /// A leader's own, at last_index() + 1. Returns the last index.
  Index append(std::span<Entry> entries);

  /// Where a follower's log may part from a leader's: the largest index ≤ `index` whose term is ≤ `term`. Both sides
  /// use it, so that each rejected append skips a whole term.
  EntryId find_conflict_by_term(Index index, Term term) const;

  /// Moves the commit index to `id` if that is in our log with that term (only entries of its own term are committed
  /// by counting, thesis 3.6.2).
  bool maybe_commit(EntryId id);
  /// Never backwards. False if the log does not reach there.
  bool commit_to(Index index);
  void set_committed(Index index) { committed_ = index; }

  /// What may be handed out to be applied. Without `allow_unstable` only what storage has confirmed.
  Index max_appliable_index(bool allow_unstable) const;
  bool has_next_committed_entries(bool allow_unstable) const;
  void next_committed_entries(bool allow_unstable, std::vector<Entry>& out) const;
  void accept_applying(Index index, std::uint64_t size, bool allow_unstable);
  void applied_to(Index index, std::uint64_t size);

  bool has_next_unstable_entries() const { return !unstable_.next_entries().empty(); }
  bool has_next_or_in_progress_unstable_entries() const { return unstable_.size() != 0; }
  bool has_next_unstable_snapshot() const { return unstable_.next_snapshot() != nullptr; }
  bool has_next_or_in_progress_snapshot() const { return unstable_.snapshot() != nullptr; }
  void accept_unstable() { unstable_.accept_in_progress(); }
  void stable_to(EntryId id) { unstable_.stable_to(id); }
  void stable_snapshot_to(Index index) { unstable_.stable_snapshot_to(index); }

  base::Result<std::shared_ptr<const Snapshot>> snapshot() const;
  /// A received snapshot takes the log's place.
  void restore(std::shared_ptr<const Snapshot> snapshot);

  std::string describe() const;

 private:
  base::Result<> slice(Index lo, Index hi, std::uint64_t max_bytes, std::vector<Entry>& out) const;
  /// Index of the first of `entries` that we lack or have with another term; 0 if none.
  Index find_conflict(std::span<const Entry> entries) const;

  Storage& storage_;
  Unstable unstable_;
  Say say_;
  Index committed_;
  Index applying_;
  Index applied_;
  const std::uint64_t max_applying_size_;
  std::uint64_t applying_size_ = 0;
  bool applying_paused_ = false;
};

}  // namespace etcdpp::raft
