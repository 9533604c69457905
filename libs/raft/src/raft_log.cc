#include "raft_log.h"

#include <algorithm>

#include <etcdpp/base/assert.h>
#include <etcdpp/raft/errc.h>

#include "classic_bugs.h"

namespace etcdpp::raft {

namespace {
/// How many leading entries fit in max_bytes; at least one.
std::size_t count_within(std::span<const Entry> entries, std::uint64_t max_bytes) {
  std::uint64_t size = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    size += encoded_size(entries[i]);
    if (size > max_bytes && i != 0) return i;
  }
  return entries.size();
}
}  // namespace

RaftLog::RaftLog(Storage& storage, Say say, Say unstable_say, std::uint64_t max_applying_size)
    : storage_(storage),
      unstable_(storage.last_index() + 1, unstable_say),
      say_(say),
      committed_(storage.first_index() - 1),
      applying_(committed_),
      applied_(committed_),
      max_applying_size_(max_applying_size) {}

Index RaftLog::first_index() const {
  if (const auto first = unstable_.first_index()) return *first;
  return storage_.first_index();
}

Index RaftLog::last_index() const {
  if (const auto last = unstable_.last_index()) return *last;
  // Storage may run ahead only by entries that the tail replaced, and then the tail is not empty.
  return unstable_.offset() - 1;
}

EntryId RaftLog::last_entry_id() const {
  const Index last = last_index();
  const auto its_term = term(last);
  ETCDPP_ASSERT(its_term, "the term of the last entry is known");
  return {*its_term, last};
}

base::Result<Term> RaftLog::term(Index i) const {
  if (const auto known = unstable_.term(i)) return *known;
  if (i + 1 < first_index()) return base::Error(Errc::kCompacted);
  if (i > last_index()) return base::Error(Errc::kUnavailable);
  return storage_.term(i);
}

bool RaftLog::matches(EntryId id) const {
  const auto ours = term(id.index);
  return ours && *ours == id.term;
}

bool RaftLog::is_up_to_date(EntryId theirs) const {
  const EntryId ours = last_entry_id();
  return theirs.term > ours.term || (theirs.term == ours.term && theirs.index >= ours.index);
}

base::Result<> RaftLog::entries(Index from, std::uint64_t max_bytes, std::vector<Entry>& out) const {
  const Index last = last_index();
  if (from > last) return {};
  return slice(from, last + 1, max_bytes, out);
}

base::Result<> RaftLog::scan(Index lo, Index hi, std::uint64_t page_bytes,
                             const std::function<bool(std::span<const Entry>)>& visit) const {
  std::vector<Entry> page;
  while (lo < hi) {
    page.clear();
    ETCDPP_TRY(slice(lo, hi, page_bytes, page));
    if (page.empty()) return base::Error(Errc::kUnavailable, "index " + std::to_string(lo));
    if (!visit(page)) return {};
    lo += page.size();
  }
  return {};
}

base::Result<> RaftLog::slice(Index lo, Index hi, std::uint64_t max_bytes, std::vector<Entry>& out) const {
  if (lo < first_index()) return base::Error(Errc::kCompacted);
  if (hi > last_index() + 1) return base::Error(Errc::kUnavailable);
  if (lo >= hi) return {};
  const Index offset = unstable_.offset();
  if (lo < offset) {
    const std::size_t before = out.size();
    const Index cut = std::min(hi, offset);
    ETCDPP_TRY(storage_.entries(lo, cut, max_bytes, out));
    if (hi <= offset) return {};
    const std::span<const Entry> stable(out.data() + before, out.size() - before);
    // Fewer than asked for: the next would not fit.
    if (stable.size() < cut - lo) return {};
    const std::uint64_t size = encoded_size(stable);
    if (size >= max_bytes) return {};
    const auto tail = unstable_.entries(offset, hi);
    const std::size_t count = count_within(tail, max_bytes - size);
    // The one that is always given is one too many here.
    if (count == 1 && size + encoded_size(tail[0]) > max_bytes) return {};
    out.insert(out.end(), tail.begin(), tail.begin() + static_cast<std::ptrdiff_t>(count));
    return {};
  }
  const auto tail = unstable_.entries(lo, hi);
  out.insert(out.end(), tail.begin(), tail.begin() + static_cast<std::ptrdiff_t>(count_within(tail, max_bytes)));
  return {};
}

Index RaftLog::find_conflict(std::span<const Entry> entries) const {
  for (const Entry& entry : entries) {
    if (matches({entry.term, entry.index})) continue;
    if (entry.index <= last_index())
      say_.info("found conflict at index {} [existing term: {}, conflicting term: {}]", entry.index,
                term(entry.index).value_or(0), entry.term);
    return entry.index;
  }
  return 0;
}

base::Result<std::optional<Index>> RaftLog::maybe_append(EntryId previous, std::span<Entry> entries, Index committed) {
  if (!matches(previous)) return std::optional<Index>();
  const Index last_new = previous.index + entries.size();
  Index conflict = find_conflict(entries);
  if (has_bug(ClassicBug::kTruncateWithoutConflict) && conflict == 0 && !entries.empty() && entries.back().index > committed_)
    conflict = std::max(entries.front().index, committed_ + 1);
  if (conflict != 0) {
    if (conflict <= committed_)
      return base::Error(Errc::kMalformedMessage, "entry " + std::to_string(conflict) + " conflict with committed entry [committed(" +
                                                      std::to_string(committed_) + ")]");
    append(entries.subspan(conflict - previous.index - 1));
  }
  commit_to(std::min(committed, has_bug(ClassicBug::kCommitBeyondMatch) ? last_index() : last_new));
  return std::optional<Index>(last_new);
}

Index RaftLog::append(std::span<Entry> entries) {
  if (entries.empty()) return last_index();
  ETCDPP_ASSERT(entries.front().index > committed_, "committed entries are never replaced");
  unstable_.truncate_and_append(entries);
  return last_index();
}

EntryId RaftLog::find_conflict_by_term(Index index, Term wanted) const {
  for (; index > 0; --index) {
    const auto ours = term(index);
    // Compacted or beyond the log: this is as far as we know.
    if (!ours) return {0, index};
    if (*ours <= wanted) return {*ours, index};
  }
  return {};
}

bool RaftLog::maybe_commit(EntryId id) {
  if (id.term == 0 || id.index <= committed_ || !matches(id)) return false;
  return commit_to(id.index);
}

bool RaftLog::commit_to(Index index) {
  if (index <= committed_) return true;
  if (index > last_index()) return false;
  committed_ = index;
  return true;
}

Index RaftLog::max_appliable_index(bool allow_unstable) const {
  return allow_unstable ? committed_ : std::min(committed_, unstable_.offset() - 1);
}

bool RaftLog::has_next_committed_entries(bool allow_unstable) const {
  if (applying_paused_) return false;
  // Entries follow a snapshot only once that is installed.
  if (has_next_or_in_progress_snapshot()) return false;
  return applying_ < max_appliable_index(allow_unstable);
}

void RaftLog::next_committed_entries(bool allow_unstable, std::vector<Entry>& out) const {
  if (!has_next_committed_entries(allow_unstable)) return;
  const auto got = slice(applying_ + 1, max_appliable_index(allow_unstable) + 1, max_applying_size_ - applying_size_, out);
  ETCDPP_ASSERT(got, "committed entries that are not applied are in the log");
}

void RaftLog::accept_applying(Index index, std::uint64_t size, bool allow_unstable) {
  ETCDPP_ASSERT(index <= committed_, "only committed entries are applied");
  applying_ = index;
  applying_size_ += size;
  // Whatever was held back waits until what was handed out is applied, so that the limit holds.
  applying_paused_ = applying_size_ >= max_applying_size_ || index < max_appliable_index(allow_unstable);
}

void RaftLog::applied_to(Index index, std::uint64_t size) {
  ETCDPP_ASSERT(index <= committed_ && index >= applied_, "applied moves forward, up to the commit index");
  applied_ = index;
  applying_ = std::max(applying_, applied_);
  applying_size_ -= std::min(applying_size_, size);
  applying_paused_ = applying_size_ >= max_applying_size_;
}

base::Result<std::shared_ptr<const Snapshot>> RaftLog::snapshot() const {
  if (unstable_.snapshot()) return unstable_.snapshot();
  auto stored = storage_.snapshot();
  if (!stored) return base::Error(stored.error());
  return std::make_shared<const Snapshot>(std::move(*stored));
}

void RaftLog::restore(std::shared_ptr<const Snapshot> snapshot) {
  const SnapshotMetadata& metadata = snapshot->metadata;
  say_.info("log [{}] starts to restore snapshot [index: {}, term: {}]", describe(), metadata.index, metadata.term);
  committed_ = metadata.index;
  unstable_.restore(std::move(snapshot));
}

std::string RaftLog::describe() const {
  return fmt::format(
      "committed={}, applied={}, applying={}, unstable.offset={}, unstable.offsetInProgress={}, len(unstable.Entries)={}", committed_,
      applied_, applying_, unstable_.offset(), unstable_.offset_in_progress(), unstable_.size());
}

}  // namespace etcdpp::raft
