#include <etcdpp/bolt/file_writer.h>

#include "key_rows.h"

namespace etcdpp::mvccdump {

namespace {

// One JSON object a line for each key as it was at a revision, in order of mod_revision. Values are written as they
// are met again, so the keys' states alone are held.
base::Result<Exit> export_lines(Context& context, Source& source) {
  const Options& options = context.options;
  source.show(context.progress, "reading keys");
  ETCDPP_ASSIGN(const KeySpace space, key_space_at(context, source, options.revision, options.prefix));
  std::map<mvcc::Revision, const base::Bytes*> by_revision;
  for (const auto& [key, state] : space.keys) by_revision.emplace(state.modified, &key);
  Printer lines(context.printer.out(), Format::kJson);
  source.show(context.progress, "writing keys");
  ETCDPP_TRY(scan_key_rows(context, source, [&](const KeyRow& row) -> base::Result<> {
    const auto there = by_revision.find(row.at.revision);
    if (there == by_revision.end() || *there->second != row.kv.key) return {};
    lines.print({{"key", Data{base::Bytes(row.kv.key)}},
                 {"create_revision", row.kv.create_revision},
                 {"mod_revision", row.kv.mod_revision},
                 {"version", row.kv.version},
                 {"lease", row.kv.lease},
                 {"value", Data{base::Bytes(row.kv.value)}}});
    return context.go_on();
  }));
  return Exit::kFine;
}

// All ten buckets, as one commit has them.
base::Result<Exit> export_bbolt(Context& context) {
  const Options& options = context.options;
  constexpr int kTries = 3;
  for (int tries = 0; tries < kTries; ++tries) {
    ETCDPP_ASSIGN(const auto source, context.open(options.path));
    ETCDPP_ASSIGN(const FileFacts before, source->facts());
    ETCDPP_ASSIGN(const auto output, bolt::FileWriter::create(context.env, options.bbolt));
    source->show(context.progress, "writing rows");
    for (const Bucket bucket : backend::kBuckets) {
      ETCDPP_TRY(output->rows().begin_bucket(backend::bucket_name(bucket)));
      ETCDPP_TRY(source->scan(bucket, [&](const Row& row) -> base::Result<> {
        if (!row.intact) {
          ++context.bad_checksums;
          return {};
        }
        return output->rows().add(row.key, row.value);
      }));
    }
    ETCDPP_ASSIGN(const auto later, context.open(options.path));
    ETCDPP_ASSIGN(const FileFacts after, later->facts());
    if (after.transaction != before.transaction) continue;
    ETCDPP_ASSIGN(const bolt::Plan plan, output->finish(options.snapshot));
    context.progress.clear();
    context.printer.print_list({{"written", Data{options.bbolt}}, {"bytes", plan.bytes()}, {"rows", plan.rows}});
    return Exit::kFine;
  }
  return Exit::kNoVerdict;
}

}  // namespace

base::Result<Exit> export_command(Context& context) {
  if (!context.options.bbolt.empty()) return export_bbolt(context);
  ETCDPP_ASSIGN(const auto source, context.open(context.options.path));
  return export_lines(context, *source);
}

}  // namespace etcdpp::mvccdump
