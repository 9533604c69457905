#include "key_rows.h"

namespace etcdpp::mvccdump {

base::Result<Exit> history_command(Context& context) {
  ETCDPP_ASSIGN(const auto source, context.open(context.options.path));
  source->show(context.progress, "looking for the key");
  bool lives = false, met = false;
  std::uint64_t generation = 0;
  ETCDPP_TRY(scan_key_rows(context, *source, [&](const KeyRow& row) -> base::Result<> {
    if (row.kv.key != context.options.key || row.row.value.empty()) return {};
    if (!lives) ++generation;
    // What is left of a life whose beginning was compacted goes on, it does not begin.
    const char* event = row.at.tombstone ? "deleted" : !lives && row.kv.version <= 1 ? "created" : "modified";
    lives = !row.at.tombstone;
    met = true;
    Record record{{"revision", Text{revision_text(row.at.revision)}}, {"event", Text{event}}, {"generation", generation}};
    if (row.at.tombstone) {
      for (const char* name : {"create_revision", "version", "lease", "value"}) record.push_back({name, None{}});
    } else {
      record.push_back({"create_revision", row.kv.create_revision});
      record.push_back({"version", row.kv.version});
      record.push_back({"lease", Id{static_cast<std::uint64_t>(row.kv.lease)}});
      record.push_back({"value", Data{base::Bytes(row.kv.value)}});
    }
    context.printer.print(record);
    return context.go_on();
  }));
  return met ? Exit::kFine : Exit::kNo;
}

}  // namespace etcdpp::mvccdump
