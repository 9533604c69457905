#include "log_check.h"

#include <algorithm>

#include <etcdpp/proto/raft_codec.h>
#include <fmt/format.h>

#include "../replay.h"
#include "record_shape.h"

namespace etcdpp::wal {

namespace {
// Of hostile files only; a real log has few terms and markers.
constexpr std::size_t kMostRuns = 1 << 20;
constexpr std::size_t kMostMarkers = 1 << 16;

LogCheck::Complaint refuse(std::string text) { return {true, std::move(text)}; }
LogCheck::Complaint wonder(std::string text) { return {false, std::move(text)}; }
}  // namespace

LogCheck::Complaint LogCheck::add(const Record& record, const std::optional<EntryView>& entry) {
  Complaint complaint = add_record(record, entry);
  if (!complaint && !has_shape_of_its_type(record))
    complaint = wonder(fmt::format("a record of type {} whose data nobody writes for it: its type may be damaged, which no checksum covers", record_type_name(record.type)));
  return complaint;
}

LogCheck::Complaint LogCheck::add_record(const Record& record, const std::optional<EntryView>& entry) {
  switch (static_cast<RecordType>(record.type)) {
    case RecordType::kCrc: return {};
    case RecordType::kMetadata:
      if (!metadata_.empty() && metadata_ != record.data) return refuse("conflicting metadata");
      metadata_ = record.data;
      owner_ = decode_metadata(record.data);
      return owner_ ? Complaint{} : refuse("metadata cannot be decoded");
    case RecordType::kState: {
      const auto state = proto::decode_hard_state(record.data);
      return state ? add_state(*state) : refuse("the hard state cannot be decoded");
    }
    case RecordType::kSnapshot: {
      auto marker = decode_marker(record.data);
      return marker ? add_marker(std::move(*marker)) : refuse("the snapshot marker cannot be decoded");
    }
    case RecordType::kEntry: return entry ? add_entry(*entry) : refuse("the entry cannot be decoded");
  }
  return refuse(fmt::format("unexpected block type {}", record.type));
}

LogCheck::Complaint LogCheck::add_entry(const EntryView& entry) {
  const std::uint64_t before = end_index();
  const bool begun = from_first_ || first_ != 0;
  const bool gap = begun && entry.index > before && entry.index - before > 1;
  Complaint complaint;
  if (begun && entry.index <= state_.commit && entry.index <= last_ && last_ != 0)
    complaint = wonder(fmt::format("entry {} is written over, though the commit index is {}", entry.index, state_.commit));
  else if (entry.index == last_ + 1 && last_ != 0 && entry.term < last_term())
    complaint = wonder(fmt::format("the term goes back from {} to {} at entry {}", last_term(), entry.term, entry.index));
  if (begun && !gap && entry.index > last_ && entry.index - last_ > 1 && entry.index >= bridged_) {
    bridged_ = entry.index;
    before_bridge_ = last_;
  }
  ++entries_;
  if (first_ == 0) first_ = entry.index;
  if (last_ != 0 && entry.index <= last_) overwritten_ += last_ - entry.index + 1;
  last_ = entry.index;
  while (!runs_.empty() && runs_.back().first >= entry.index) runs_.pop_back();
  if ((runs_.empty() || runs_.back().term != entry.term) && runs_.size() < kMostRuns) runs_.push_back({entry.index, entry.term});
  if (gap) return refuse(fmt::format("entry {} follows {}: slice bounds out of range", entry.index, before));
  return complaint;
}

LogCheck::Complaint LogCheck::add_state(const raft::HardState& state) {
  const raft::HardState old = state_;
  state_ = state;
  if (state.term < old.term) return wonder(fmt::format("the hard state's term goes back from {} to {}", old.term, state.term));
  if (state.commit < old.commit) return wonder(fmt::format("the commit index goes back from {} to {}", old.commit, state.commit));
  if (state.term == old.term && old.vote != 0 && state.vote != old.vote)
    return wonder(fmt::format("two votes in term {}: for {:x} and for {:x}", state.term, old.vote, state.vote));
  return {};
}

LogCheck::Complaint LogCheck::add_marker(SnapshotMarker marker) {
  const std::uint64_t term = term_at(marker.index);
  const std::uint64_t index = marker.index;
  const std::uint64_t said = marker.term;
  end_marker_ = std::max(end_marker_, marker.index);
  if (marker.index <= last_ || (owner_ && is_sole_voter(marker, *owner_))) marked_ = std::max(marked_, marker.index);
  if (markers_.size() < kMostMarkers) markers_.push_back(std::move(marker));
  if (term != 0 && said != term) return wonder(fmt::format("the snapshot marker of index {} says term {}, its entry says {}", index, said, term));
  return {};
}

std::uint64_t LogCheck::term_at(std::uint64_t index) const {
  if (index < first_ || index > last_) return 0;
  const auto behind = std::upper_bound(runs_.begin(), runs_.end(), index, [](std::uint64_t at, const Run& run) { return at < run.first; });
  return behind == runs_.begin() ? 0 : (behind - 1)->term;
}

const SnapshotMarker* LogCheck::newest_marker() const {
  for (auto at = markers_.rbegin(); at != markers_.rend(); ++at)
    if (at->index <= state_.commit) return &*at;
  return nullptr;
}

LogCheck::Complaint LogCheck::finish() const {
  if (!owner_) return refuse("it ends before its metadata: nobody knows whose log it is");
  // The head of a single later segment speaks of entries before it.
  const bool sees_entries = whole_ || first_ != 0;
  // A start reads from the newest marker that counts.
  const SnapshotMarker* start = newest_marker();
  const std::uint64_t end = std::max(last_, start ? start->index : 0);
  if (sees_entries && state_.commit > end)
    return refuse(fmt::format("the last hard state's commit {} is above the last entry {}: synced data is missing", state_.commit, end));
  if (whole_ && bridged_ > (start ? start->index : 0) + 1)
    return refuse(fmt::format("entry {} follows {}, and no marker between them is at or below the commit index {}: slice bounds out of range", bridged_,
                              before_bridge_, state_.commit));
  if (sees_entries && marked_ > end)
    return refuse(fmt::format("a snapshot marker's index {} is above the last entry {}: synced data is missing", marked_, end));
  if (whole_ && !from_first_ && !newest_marker())
    return refuse("its first segments are gone and there is no snapshot marker at or below the commit index: a start finds no place to begin");
  return {};
}

}  // namespace etcdpp::wal
