#include <etcdpp/mvcc/range_reader.h>

#include <algorithm>
#include <array>
#include <string>

#include <etcdpp/mvcc/key_value.h>

namespace etcdpp::mvcc {

base::Result<RangeReader> RangeReader::open(const Views& views) {
  for (;;) {
    ViewRef held = views.current();
    ETCDPP_ASSIGN(backend::ReadTransaction transaction, held->buffers.database->begin_read());
    // Compaction to C publishes C before its first deletion commits, so a snapshot that misses rows finds C here.
    const std::int64_t compact_revision = std::max(held->compact_revision, views.compact_revision());
    if (held->revision < compact_revision) continue;
    return RangeReader(std::move(held), std::move(transaction), compact_revision);
  }
}

base::Result<std::int64_t> RangeReader::resolve(std::int64_t requested) const {
  if (requested > view_->revision) return base::Error(Errc::kFutureRevision);
  if (requested <= 0) return view_->revision;
  if (requested < compact_revision_) return base::Error(Errc::kCompacted);
  return requested;
}

base::Result<base::BytesView> RangeReader::row(Revision revision, std::size_t expected_size) const {
  const RowKeyBytes key(revision, false);
  if (auto buffered = view_->buffers.find(key)) return *buffered;
  ETCDPP_ASSIGN(const auto stored, transaction_.get_row(key, expected_size));
  if (!stored) [[unlikely]] return lost(revision);
  return *stored;
}

base::Error RangeReader::lost(Revision revision) const {
  return base::Error(Errc::kRowMissing,
                     view_->buffers.database->path() + ": revision " + std::to_string(revision.main) + "." + std::to_string(revision.sub));
}

base::Result<std::optional<base::BytesView>> RangeReader::get(base::BytesView key, std::int64_t at) const {
  const auto state = view_->index.get(key, at);
  if (!state) return std::optional<base::BytesView>();
  ETCDPP_ASSIGN(const auto bytes, row(state->modified, state->row_bytes));
  return std::optional<base::BytesView>(bytes);
}

std::size_t RangeReader::get(std::span<KeyRead> reads) const {
  reads = reads.first(std::min(reads.size(), kKeysSideBySide));
  std::array<KeyLookup, kKeysSideBySide> keys;
  for (std::size_t i = 0; i < reads.size(); ++i) {
    reads[i].key_value = std::optional<base::BytesView>();
    const auto at = resolve(reads[i].revision);
    if (!at) reads[i].key_value = at.error();
    keys[i] = {.key = reads[i].key, .at = at.value_or(0), .state = std::nullopt};
  }
  view_->index.get(std::span(keys).first(reads.size()));

  std::array<std::optional<RowKeyBytes>, kKeysSideBySide> row_keys;
  std::array<backend::RowLookup, kKeysSideBySide> rows;
  std::array<std::size_t, kKeysSideBySide> read_of;
  std::size_t wanted = 0, bytes = 0;
  for (std::size_t i = 0; i < reads.size(); ++i) {
    if (!reads[i].key_value || !keys[i].state) continue;
    bytes += keys[i].state->row_bytes;
    if (i > 0 && bytes > kBytesSideBySide) {
      reads = reads.first(i);
      break;
    }
    const RowKeyBytes& row_key = row_keys[i].emplace(keys[i].state->modified, false);
    if (const auto buffered = view_->buffers.find(row_key)) {
      reads[i].key_value = buffered;
      continue;
    }
    rows[wanted] = {.row_key = row_key, .expected_size = keys[i].state->row_bytes, .value = std::nullopt};
    read_of[wanted++] = i;
  }
  const auto found = transaction_.get_rows(std::span(rows).first(wanted));
  for (std::size_t i = 0; i < wanted; ++i) {
    auto& answer = reads[read_of[i]].key_value;
    if (!found) {
      answer = found.error();
    } else if (!rows[i].value) [[unlikely]] {
      answer = lost(keys[read_of[i]].state->modified);
    } else {
      answer = rows[i].value;
    }
  }
  return reads.size();
}

base::Result<RangeAnswer> RangeReader::range(const KeyRange& range, const RangeOptions& options,
                                             std::vector<RangeRow>& rows) const {
  RangeAnswer answer;
  answer.current_revision = view_->revision;
  ETCDPP_ASSIGN(answer.revision, resolve(options.revision));
  const auto add = [&](const KeyState& state) -> base::Result<> {
    RangeRow& out = rows.emplace_back(RangeRow{state, {}});
    if (!options.keys_only) {
      ETCDPP_ASSIGN(out.key_value, row(state.modified, state.row_bytes));
    }
    return {};
  };
  if (range.is_single()) {
    const auto state = view_->index.get(range.begin(), answer.revision);
    answer.count = state ? 1 : 0;
    if (state && !options.count_only) {
      ETCDPP_TRY(add(*state));
    }
    return answer;
  }
  std::int64_t returned = 0;
  bool cut = options.count_only;
  if (!options.count_only) {
    IndexCursor cursor(view_->index, range, answer.revision);
    KeyState state;
    while (cursor.next(state)) {
      if (options.limit > 0 && returned == options.limit) {
        cut = true;
        break;
      }
      ETCDPP_TRY(add(state));
      ++returned;
    }
  }
  answer.count = returned;
  if (cut && options.counted) answer.count = view_->index.count(range, answer.revision);
  answer.more = cut && !options.count_only;
  return answer;
}

}  // namespace etcdpp::mvcc
