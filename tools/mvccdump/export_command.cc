#include <map>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <etcdpp/bolt/file_writer.h>
#include <etcdpp/exchange/export.h>
#include <etcdpp/mvcc/compaction.h>

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

// What one commit has besides the history: the small buckets, and where the history ends.
struct Cut {
  std::vector<std::pair<base::Bytes, base::Bytes>> rows[backend::kBuckets.size() + 1];
  base::Bytes last_row;
};

/// The last row of bucket `key`, or one shortly before it: by halving, without reading the rest.
base::Result<base::Bytes> near_the_end(Source& source) {
  base::Bytes last;
  std::uint64_t below = 0;
  for (std::uint64_t step = std::uint64_t{1} << 62; step != 0; step /= 2) {
    bool there = false;
    ETCDPP_TRY(source.scan_rows_from(mvcc::RowKeyBytes({static_cast<std::int64_t>(below + step), 0}, false), [&](const Row& row) -> base::Result<> {
      there = true;
      last = row.key;
      return enough();
    }));
    if (there) below += step;
  }
  return last;
}

// Of one commit, if the member leaves the time for it; none otherwise.
base::Result<std::optional<Cut>> cut_of_one_commit(Context& context) {
  constexpr std::uint64_t kMostHeld = std::uint64_t{1} << 30;
  constexpr int kTries = 50;
  ETCDPP_ASSIGN(const auto first, context.open(context.options.path));
  ETCDPP_ASSIGN(const base::Bytes near, near_the_end(*first));
  for (int tries = 0; tries < kTries; ++tries) {
    Cut cut;
    std::uint64_t held = 0;
    ETCDPP_ASSIGN(const auto source, context.open(context.options.path));
    ETCDPP_ASSIGN(const FileFacts before, source->facts());
    std::uint64_t bad_checksums = 0;
    for (const Bucket bucket : backend::kBuckets) {
      if (bucket == Bucket::kKey) continue;
      ETCDPP_TRY(source->scan(bucket, [&](const Row& row) -> base::Result<> {
        held += row.key.size() + row.value.size();
        if (held > kMostHeld) return base::Error(std::make_error_code(std::errc::not_enough_memory), "more than 1 GiB in the buckets other than key");
        if (!row.intact) ++bad_checksums;
        else cut.rows[static_cast<std::size_t>(bucket)].emplace_back(row.key, row.value);
        return {};
      }));
    }
    ETCDPP_TRY(source->scan_rows_from(near, [&](const Row& row) -> base::Result<> {
      cut.last_row = row.key;
      return {};
    }));
    ETCDPP_ASSIGN(const auto later, context.open(context.options.path));
    ETCDPP_ASSIGN(const FileFacts after, later->facts());
    if (after.transaction != before.transaction) continue;
    context.bad_checksums += bad_checksums;
    return std::optional(std::move(cut));
  }
  return std::optional<Cut>();
}

// All ten buckets. Of a member that goes on: the small ones of one commit, and the history up to that commit's end, whose
// rows never change; only a compaction that begins meanwhile takes some away, then it is done again.
base::Result<Exit> export_bbolt(Context& context) {
  const Options& options = context.options;
  constexpr int kTries = 5;
  for (int tries = 0; tries < kTries; ++tries) {
    ETCDPP_ASSIGN(const auto cut, cut_of_one_commit(context));
    if (!cut) return Exit::kNoVerdict;
    ETCDPP_ASSIGN(const auto source, context.open(options.path));
    ETCDPP_ASSIGN(const auto output, bolt::FileWriter::create(context.env, options.bbolt));
    source->show(context.progress, "writing rows");
    std::uint64_t bad_checksums = 0;
    const auto scan = [&](Bucket bucket, const backend::RowVisitor& visit) -> base::Result<> {
      for (const auto& [key, value] : cut->rows[static_cast<std::size_t>(bucket)]) ETCDPP_TRY(visit(key, value));
      if (bucket != Bucket::kKey) return {};
      return source->scan(bucket, [&](const Row& row) -> base::Result<> {
        if (row.key > cut->last_row) return enough();
        if (row.intact) return visit(row.key, row.value);
        ++bad_checksums;
        return {};
      });
    };
    ETCDPP_TRY(exchange::write_buckets(scan, output->rows()));
    base::Bytes scheduled;
    for (const auto& [key, value] : cut->rows[static_cast<std::size_t>(Bucket::kMeta)])
      if (key == mvcc::kScheduledCompactRevKey) scheduled = value;
    ETCDPP_ASSIGN(const auto later, context.open(options.path));
    base::Bytes scheduled_later;
    ETCDPP_TRY(later->scan(Bucket::kMeta, [&](const Row& row) -> base::Result<> {
      if (row.key == mvcc::kScheduledCompactRevKey && row.intact) scheduled_later = row.value;
      return {};
    }));
    if (scheduled != scheduled_later) continue;
    context.bad_checksums += bad_checksums;
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
