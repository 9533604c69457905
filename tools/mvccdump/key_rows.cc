#include "key_rows.h"

#include <algorithm>
#include <cstring>

#include <etcdpp/mvcc/compaction.h>
#include <etcdpp/mvcc/errc.h>

namespace etcdpp::mvccdump {

base::Result<> scan_key_rows(Context& context, Source& source, const std::function<base::Result<>(const KeyRow&)>& visit) {
  mvcc::Revision last{-1, 0};
  return source.scan(Bucket::kKey, [&](const Row& row) -> base::Result<> {
    if (!row.intact) {
      ++context.bad_checksums;
      return {};
    }
    const auto at = mvcc::decode_row_key(row.key);
    const auto kv = mvcc::decode_key_value(row.value);
    // What the index of a member could not hold is wrong too.
    if (!at || !kv || !(last < at->revision) || at->revision.sub > UINT32_MAX || row.value.size() > 0x7fffffff) {
      ++context.undecodable;
      return {};
    }
    last = at->revision;
    return visit({*at, *kv, row});
  });
}

base::Result<CompactionMarks> read_compaction_marks(Source& source) {
  CompactionMarks marks;
  ETCDPP_TRY(source.scan(Bucket::kMeta, [&](const Row& row) -> base::Result<> {
    const auto mark = mvcc::decode_row_key(row.value);
    if (!mark || !row.intact) return {};
    if (row.key == mvcc::kScheduledCompactRevKey) marks.scheduled = mark->revision.main;
    if (row.key == mvcc::kFinishedCompactRevKey) marks.finished = mark->revision.main;
    return {};
  }));
  return marks;
}

base::Result<std::int64_t> resolve_revision(std::int64_t asked, std::int64_t newest_row, const CompactionMarks& marks) {
  const std::int64_t current = std::max({std::int64_t{1}, newest_row, marks.in_force()});
  if (asked > current) return base::Error(mvcc::Errc::kFutureRevision, std::to_string(asked) + " of " + std::to_string(current));
  if (asked > 0 && asked < marks.in_force())
    return base::Error(mvcc::Errc::kCompacted, std::to_string(asked) + ", compacted at " + std::to_string(marks.in_force()));
  return asked > 0 ? asked : current;
}

base::Result<KeySpace> key_space_at(Context& context, Source& source, std::int64_t revision, base::BytesView prefix) {
  KeySpace space;
  ETCDPP_ASSIGN(const CompactionMarks marks, read_compaction_marks(source));
  std::int64_t newest = 0;
  ETCDPP_TRY(scan_key_rows(context, source, [&](const KeyRow& row) -> base::Result<> {
    newest = row.at.revision.main;
    if ((revision > 0 && newest > revision) || !row.kv.key.starts_with(prefix)) return {};
    if (row.at.tombstone) {
      const auto there = space.keys.find(row.kv.key);
      if (there != space.keys.end()) space.keys.erase(there);
      return {};
    }
    // What `snapshot restore --bump-revision` leaves: a row without a key.
    if (row.row.value.empty()) return {};
    KeyState& state = space.keys[base::Bytes(row.kv.key)];
    state = {row.kv.create_revision, row.at.revision, row.kv.version, row.kv.lease, row.kv.value.size(), value_hash(row.kv.value)};
    return {};
  }));
  ETCDPP_ASSIGN(space.revision, resolve_revision(revision, newest, marks));
  return space;
}

std::uint64_t value_hash(base::BytesView value) {
  std::uint64_t h = 0xcbf29ce484222325 ^ value.size();
  const auto mix = [&](std::uint64_t word) {
    h = (h ^ word) * 0x9e3779b97f4a7c15;
    h ^= h >> 32;
  };
  std::size_t at = 0;
  for (; at + 8 <= value.size(); at += 8) mix(base::get_le64(value.data() + at));
  std::uint64_t rest = 0;
  if (at < value.size()) std::memcpy(&rest, value.data() + at, value.size() - at);
  mix(rest);
  return h;
}

std::string revision_text(const mvcc::Revision& revision) {
  return std::to_string(revision.main) + "." + std::to_string(revision.sub);
}

}  // namespace etcdpp::mvccdump
