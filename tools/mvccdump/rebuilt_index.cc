#include "rebuilt_index.h"

#include <algorithm>

namespace etcdpp::mvccdump {

base::Result<RebuiltIndex> rebuild_index(Context& context, Source& source) {
  RebuiltIndex out;
  ETCDPP_ASSIGN(out.marks, read_compaction_marks(source));
  source.show(context.progress, "reading keys");
  ETCDPP_TRY(scan_key_rows(context, source, [&](const KeyRow& row) -> base::Result<> {
    out.table.at(row.kv.key);
    out.index.restore(row.kv.key, {.revision = row.at.revision,
                                   .create_revision = row.kv.create_revision,
                                   .version = row.kv.version,
                                   .row_bytes = static_cast<std::uint32_t>(row.row.value.size()),
                                   .tombstone = row.at.tombstone});
    out.revision = row.at.revision.main;
    return {};
  }));
  for (const KeyTable::Entry& entry : out.table.entries()) out.keys.push_back(entry.view());
  std::sort(out.keys.begin(), out.keys.end());
  out.revision = std::max({std::int64_t{1}, out.revision, out.marks.in_force()});
  return out;
}

}  // namespace etcdpp::mvccdump
