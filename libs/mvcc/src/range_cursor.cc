#include <etcdpp/mvcc/range_reader.h>

#include <algorithm>
#include <limits>
#include <string>

#include <etcdpp/mvcc/key_value.h>

namespace etcdpp::mvcc {
namespace {

std::int64_t keys_only_framed_size(const KeyState& state) {
  return static_cast<std::int64_t>(framed_size(encoded_size({.key = state.key,
                                                             .create_revision = state.create_revision,
                                                             .mod_revision = state.modified.main,
                                                             .version = state.version,
                                                             .value = {}})));
}

void set_behind(base::Bytes& key, base::BytesView last) {
  key.assign(last);
  key.push_back('\0');
}

}  // namespace

RangeCursor::RangeCursor(const KeyRange& range, const RangeOptions& options, Hold hold)
    : begin_(range.begin()),
      end_(range.has_end() ? range.end() : base::BytesView{}),
      single_(range.is_single()),
      has_end_(range.has_end()),
      options_(options),
      hold_(hold) {}

base::Result<RangeAnswer> RangeCursor::start(const Views& views, RangeReader& reader) {
  for (;;) {
    answer_.current_revision = reader.view().revision;
    ETCDPP_ASSIGN(answer_.revision, reader.resolve(options_.revision));
    if (hold_ == Hold::kNone) break;
    // Pinned first, looked at second: a job publishes its compact revision before it looks for pins, so either it sees
    // this pin and waits, or this sees the compaction.
    pin_ = views.pins().pin(answer_.revision);
    if (views.compact_revision() <= answer_.revision) break;
    pin_.release();
    if (options_.revision > 0) return base::Error(Errc::kCompacted);
    ETCDPP_ASSIGN(reader, RangeReader::open(views));
  }
  const std::int64_t at = answer_.revision;
  answer_.count = reader.view().index.count(range(), at);
  left_ = options_.count_only ? 0 : answer_.count;
  if (options_.limit > 0 && left_ > options_.limit) {
    left_ = options_.limit;
    answer_.more = true;
  }
  next_key_ = begin_;
  measured_key_ = begin_;
  to_measure_ = left_;
  if (left_ == answer_.count && at == answer_.current_revision && !options_.keys_only) {
    total_ = reader.view().index.size(range(), at);
    to_measure_ = 0;
  }
  return answer_;
}

base::Result<> RangeCursor::check(const RangeReader& reader) const {
  if (hold_ == Hold::kNone && answer_.revision < reader.compact_revision_) return base::Error(Errc::kCompacted);
  return {};
}

// Made anew each time: it borrows from members, and those move with the cursor.
KeyRange RangeCursor::range() const {
  if (single_) return KeyRange::single(begin_);
  return has_end_ ? KeyRange::interval(begin_, end_) : KeyRange::from(begin_);
}

KeyRange RangeCursor::rest(const base::Bytes& from) const {
  return range().starting_at(from);
}

base::Result<bool> RangeCursor::measure(const RangeReader& reader, std::size_t budget) {
  if (to_measure_ == 0) return true;
  ETCDPP_TRY(check(reader));
  IndexCursor cursor(reader.view().index, rest(measured_key_), answer_.revision);
  KeyState state;
  base::BytesView last;
  while (to_measure_ > 0 && cursor.visited() < budget && cursor.next(state)) {
    ++total_.keys;
    total_.framed_bytes +=
        options_.keys_only ? keys_only_framed_size(state) : static_cast<std::int64_t>(framed_size(state.row_bytes));
    --to_measure_;
    last = state.key;
  }
  if (to_measure_ > 0 && !last.empty()) set_behind(measured_key_, last);
  return to_measure_ == 0;
}

base::Result<> RangeCursor::next(const RangeReader& reader, std::size_t max_rows, std::size_t max_bytes,
                                 std::vector<RangeRow>& rows) {
  if (left_ == 0) return {};
  ETCDPP_TRY(check(reader));
  IndexCursor cursor(reader.view().index, rest(next_key_), answer_.revision);
  KeyState state;
  base::BytesView last;
  std::size_t bytes = 0;
  for (std::size_t n = 0; left_ > 0 && n < max_rows && bytes < max_bytes; ++n) {
    // Counted at the start, and what is pinned stays: without this a caller would ask for ever.
    if (!cursor.next(state))
      return base::Error(Errc::kRowMissing, std::to_string(left_) + " keys of revision " + std::to_string(answer_.revision) + " in the index");
    RangeRow& out = rows.emplace_back(RangeRow{state, {}});
    if (!options_.keys_only) {
      ETCDPP_ASSIGN(out.key_value, reader.row(state.modified, state.row_bytes));
    }
    bytes += options_.keys_only ? static_cast<std::size_t>(keys_only_framed_size(state)) : framed_size(state.row_bytes);
    --left_;
    last = state.key;
  }
  if (left_ == 0) {
    pin_.release();
  } else if (!last.empty()) {
    set_behind(next_key_, last);
  }
  return {};
}

}  // namespace etcdpp::mvcc
