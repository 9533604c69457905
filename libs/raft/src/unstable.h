#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <etcdpp/raft/types.h>

#include "say.h"

namespace etcdpp::raft {

/// A position in the log: the term identifies the leader that wrote the index.
struct EntryId {
  Term term = 0;
  Index index = 0;

  friend bool operator==(const EntryId&, const EntryId&) = default;
};

/// The log's tail that storage has not confirmed: at most one received snapshot, and the entries behind it.
///
/// entries()[i] has index offset() + i. What was handed out for writing is *in progress*; it stays here until storage
/// says it is stable, since a new leader may replace it before. Storage may hold older entries at or above offset();
/// they are void.
class Unstable {
 public:
  Unstable(Index offset, Say say) : offset_(offset), offset_in_progress_(offset), say_(say) {}

  Index offset() const { return offset_; }
  Index offset_in_progress() const { return offset_in_progress_; }
  std::size_t size() const { return entries_.size() - head_; }
  std::span<const Entry> entries() const { return {entries_.data() + head_, size()}; }
  /// Entries [lo, hi); both within the tail.
  std::span<const Entry> entries(Index lo, Index hi) const { return entries().subspan(lo - offset_, hi - lo); }
  const std::shared_ptr<const Snapshot>& snapshot() const { return snapshot_; }

  /// The index behind the snapshot, if there is one.
  std::optional<Index> first_index() const;
  std::optional<Index> last_index() const;
  std::optional<Term> term(Index i) const;

  /// What is to be handed out next.
  std::span<const Entry> next_entries() const { return entries().subspan(offset_in_progress_ - offset_); }
  std::shared_ptr<const Snapshot> next_snapshot() const { return snapshot_in_progress_ ? nullptr : snapshot_; }
  /// next_entries() and next_snapshot() were handed out.
  void accept_in_progress();

  /// Storage has the log up to `id`; ignored if that entry was replaced meanwhile, since then something newer is on
  /// its way.
  void stable_to(EntryId id);
  void stable_snapshot_to(Index index);

  /// The log is this snapshot and nothing else.
  void restore(std::shared_ptr<const Snapshot> snapshot);
  /// Appends entries, replacing from their first index on. Not empty, contiguous, without a gap to what is there.
  void truncate_and_append(std::span<Entry> entries);

 private:
  // Live entries are [head_, end); those before it are stable and given back now and then.
  std::vector<Entry> entries_;
  std::size_t head_ = 0;
  Index offset_;
  Index offset_in_progress_;
  std::shared_ptr<const Snapshot> snapshot_;
  bool snapshot_in_progress_ = false;
  Say say_;
};

}  // namespace etcdpp::raft
