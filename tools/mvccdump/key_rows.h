#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include <etcdpp/base/result.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/revision.h>

#include "command.h"

namespace etcdpp::mvccdump {

/// A decoded row of bucket `key`, borrowed.
struct KeyRow {
  mvcc::RowKey at;
  mvcc::KeyValue kv;
  const Row& row;
};
/// Hands out the rows that are whole, oldest first; the others are counted in the context.
base::Result<> scan_key_rows(Context& context, Source& source, const std::function<base::Result<>(const KeyRow&)>& visit);

/// The two marks of compaction in bucket `meta`; -1: none.
struct CompactionMarks {
  std::int64_t scheduled = -1;
  std::int64_t finished = -1;
  /// A member that starts takes an interrupted compaction up again, so the scheduled one is in force.
  std::int64_t in_force() const { return scheduled > finished ? scheduled : finished; }
};
base::Result<CompactionMarks> read_compaction_marks(Source& source);

/// A key as it was at some revision; its value is left out.
struct KeyState {
  std::int64_t create_revision = 0;
  mvcc::Revision modified;
  std::int64_t version = 0;
  std::int64_t lease = 0;
  std::uint64_t value_size = 0;
  std::uint64_t value_hash = 0;
};
/// The keys that existed at a revision, in order.
struct KeySpace {
  std::map<base::Bytes, KeyState, std::less<>> keys;
  std::int64_t revision = 0;  ///< the one asked for; the current one for 0
};
/// Errors: kCompacted, kFutureRevision.
base::Result<KeySpace> key_space_at(Context& context, Source& source, std::int64_t revision, base::BytesView prefix);

/// Which revisions can be asked for; `newest_row` is the last row's main revision.
base::Result<std::int64_t> resolve_revision(std::int64_t asked, std::int64_t newest_row, const CompactionMarks& marks);

/// 64 bits over a value, to tell values apart (FNV-1a over words).
std::uint64_t value_hash(base::BytesView value);

std::string revision_text(const mvcc::Revision& revision);

}  // namespace etcdpp::mvccdump
