#include "key_rows.h"

namespace etcdpp::mvccdump {

base::Result<Exit> get_command(Context& context) {
  ETCDPP_ASSIGN(const auto source, context.open(context.options.path));
  ETCDPP_ASSIGN(const CompactionMarks marks, read_compaction_marks(*source));
  source->show(context.progress, "looking for the key");
  const Options& options = context.options;
  struct Found {
    KeyState state;
    base::Bytes value;
  };
  std::optional<Found> found;
  std::int64_t newest = 0;
  ETCDPP_TRY(scan_key_rows(context, *source, [&](const KeyRow& row) -> base::Result<> {
    newest = row.at.revision.main;
    if (options.revision > 0 && newest > options.revision) return enough();
    if (row.kv.key != options.key || row.row.value.empty()) return {};
    if (row.at.tombstone) {
      found.reset();
    } else {
      found = {{row.kv.create_revision, row.at.revision, row.kv.version, row.kv.lease, 0, 0}, base::Bytes(row.kv.value)};
    }
    return {};
  }));
  ETCDPP_TRY(resolve_revision(options.revision, newest, marks));
  if (!found) return Exit::kNo;
  if (options.raw) {
    context.printer.out().write(found->value);
    return Exit::kFine;
  }
  context.printer.print_list({{"key", Data{options.key}},
                              {"create_revision", found->state.create_revision},
                              {"mod_revision", found->state.modified.main},
                              {"version", found->state.version},
                              {"lease", Id{static_cast<std::uint64_t>(found->state.lease)}},
                              {"value", Data{found->value}}});
  return Exit::kFine;
}

}  // namespace etcdpp::mvccdump
