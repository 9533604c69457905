#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <etcdpp/raft/types.h>
#include <etcdpp/wal/record.h>
#include <etcdpp/wal/wal.h>

#include "entry_view.h"

namespace etcdpp::wal {

/// What the records of a log say about each other: the light twin of Replay, which keeps no entries. Fed in order with the
/// records of sound frames before the log's end.
class LogCheck {
 public:
  /// `from_first`: the log's first segment is there, so its first entry has index 1. `whole`: a start needs no more than this.
  LogCheck(bool from_first, bool whole) : from_first_(from_first), whole_(whole) {}

  struct Complaint {
    /// A start refuses it; otherwise it goes unnoticed there, and should not be.
    bool refused = false;
    std::string text;
    explicit operator bool() const { return !text.empty(); }
  };
  /// `entry` is the view of an entry record, nothing if it has none.
  Complaint add(const Record& record, const std::optional<EntryView>& entry);
  /// When there are no more records.
  Complaint finish() const;

  /// What a reader has collected at this point, from the newest marker that counts on.
  std::uint64_t first_index() const { return first_; }
  std::uint64_t last_index() const { return last_; }
  std::uint64_t end_index() const { return std::max(last_, end_marker_); }
  std::uint64_t entries() const { return entries_; }
  /// Entries that a newer leader wrote over.
  std::uint64_t overwritten() const { return overwritten_; }
  std::uint64_t first_term() const { return runs_.empty() ? 0 : runs_.front().term; }
  std::uint64_t last_term() const { return runs_.empty() ? 0 : runs_.back().term; }
  /// 0: not known.
  std::uint64_t term_at(std::uint64_t index) const;
  const raft::HardState& state() const { return state_; }
  const std::optional<Metadata>& metadata() const { return owner_; }
  /// In the order of the log.
  const std::vector<SnapshotMarker>& markers() const { return markers_; }
  /// The one from which a start reads: the last at or below the commit index.
  const SnapshotMarker* newest_marker() const;

 private:
  // Indices from `first` on have this term, up to the next run.
  struct Run {
    std::uint64_t first;
    std::uint64_t term;
  };

  Complaint add_record(const Record& record, const std::optional<EntryView>& entry);
  Complaint add_entry(const EntryView& entry);
  Complaint add_state(const raft::HardState& state);
  Complaint add_marker(SnapshotMarker marker);

  const bool from_first_;
  const bool whole_;
  base::Bytes metadata_;
  std::optional<Metadata> owner_;
  std::vector<Run> runs_;
  std::vector<SnapshotMarker> markers_;
  std::uint64_t first_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t end_marker_ = 0;
  /// Highest marker that entries reached, or must have reached.
  std::uint64_t marked_ = 0;
  /// Highest entry before which others are missing, for which a marker stands.
  std::uint64_t bridged_ = 0;
  std::uint64_t before_bridge_ = 0;
  std::uint64_t entries_ = 0;
  std::uint64_t overwritten_ = 0;
  raft::HardState state_;
};

}  // namespace etcdpp::wal
