#include <array>

#include <etcdpp/bolt/errc.h>
#include <etcdpp/bolt/file_writer.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/revision.h>

#include "command.h"
#include "spill.h"

namespace etcdpp::mvccdump {

namespace {

// Merges what the trees give, in order, with what was found outside of them, into the new database.
class Merge {
 public:
  Merge(bolt::Writer& rows, Spill& outside) : rows_(rows), outside_(outside) {}

  base::Result<> add(const SavedRow& row) {
    ETCDPP_TRY(outside_before(row.bucket, row.key));
    // The tree's version of a row counts.
    if (next_ < outside_.entries().size() && outside_.entries()[next_].bucket == row.bucket && outside_.entries()[next_].key == row.key) ++next_;
    ++from_tree_[static_cast<std::size_t>(row.bucket)];
    return put(row.bucket, row.key, row.value);
  }
  base::Result<> finish() {
    while (next_ < outside_.entries().size()) ETCDPP_TRY(put_next());
    return begin_up_to(Bucket::kMeta);
  }
  std::uint64_t from_tree(Bucket bucket) const { return from_tree_[static_cast<std::size_t>(bucket)]; }
  std::uint64_t out_of_order() const { return out_of_order_; }
  std::uint64_t from_outside(Bucket bucket) const { return from_outside_[static_cast<std::size_t>(bucket)]; }

 private:
  base::Result<> outside_before(Bucket bucket, base::BytesView key) {
    while (next_ < outside_.entries().size()) {
      const Spill::Entry& entry = outside_.entries()[next_];
      if (entry.bucket > bucket || (entry.bucket == bucket && entry.key >= key)) return {};
      ETCDPP_TRY(put_next());
    }
    return {};
  }
  base::Result<> put_next() {
    const Spill::Entry& entry = outside_.entries()[next_++];
    ETCDPP_ASSIGN(const base::Bytes value, outside_.value(entry));
    ++from_outside_[static_cast<std::size_t>(entry.bucket)];
    return put(entry.bucket, entry.key, value);
  }
  base::Result<> put(Bucket bucket, base::BytesView key, base::BytesView value) {
    // A damaged list of buckets may name one twice, or out of order.
    if (std::pair(static_cast<int>(bucket), key) <= std::pair(current_, base::BytesView(last_)) && current_ > 0) {
      ++out_of_order_;
      return {};
    }
    ETCDPP_TRY(begin_up_to(bucket));
    last_ = key;
    return rows_.add(key, value);
  }
  // All ten buckets are there, empty or not: etcd needs them.
  base::Result<> begin_up_to(Bucket bucket) {
    while (current_ < static_cast<int>(bucket)) ETCDPP_TRY(rows_.begin_bucket(backend::bucket_name(static_cast<Bucket>(++current_))));
    return {};
  }

  bolt::Writer& rows_;
  Spill& outside_;
  std::size_t next_ = 0;
  int current_ = 0;
  base::Bytes last_;
  std::uint64_t out_of_order_ = 0;
  std::array<std::uint64_t, 11> from_tree_{};
  std::array<std::uint64_t, 11> from_outside_{};
};

// What cannot even be a row of its bucket would make the new database as bad as the old one.
bool is_usable(const SavedRow& row) {
  if (row.key.empty() || row.key.size() > bolt::Writer::kLongestKey || row.value.size() > bolt::Writer::kLongestValue) return false;
  return row.bucket != Bucket::kKey || (mvcc::decode_row_key(row.key) && mvcc::decode_key_value(row.value));
}

}  // namespace

base::Result<Exit> salvage_command(Context& context) {
  const Options& options = context.options;
  ETCDPP_ASSIGN(const std::string file, find_database(context.env, options.path));
  ETCDPP_ASSIGN(const auto engine, detect_engine(context.env, file));
  if (!engine) return context.open(file).error();
  ETCDPP_ASSIGN(const auto output, bolt::FileWriter::create(context.env, options.other));

  // Twice through the file: the first time only what lies outside of the trees is kept, the second time they are merged.
  ETCDPP_ASSIGN(const auto outside, Spill::create(context.env, options.other + ".part.rows"));
  context.progress.begin("looking for rows", 1);
  std::uint64_t refused = 0;
  ETCDPP_TRY(salvage(context.env, file, *engine, [&](const SavedRow& row) -> base::Result<> {
    context.progress.add(row.key.size() + row.value.size());
    if (row.in_tree || !is_usable(row)) return {};
    return outside->add(row.bucket, row.key, row.value);
  }));
  ETCDPP_TRY(outside->sort());
  Merge merge(output->rows(), *outside);
  context.progress.begin("writing rows", 1);
  ETCDPP_ASSIGN(const SalvageOutcome outcome, salvage(context.env, file, *engine, [&](const SavedRow& row) -> base::Result<> {
    context.progress.add(row.key.size() + row.value.size());
    if (!row.in_tree) return {};
    if (!is_usable(row)) {
      ++refused;
      return {};
    }
    return merge.add(row);
  }));
  ETCDPP_TRY(merge.finish());
  ETCDPP_ASSIGN(const bolt::Plan plan, output->finish(options.snapshot));
  context.progress.clear();

  std::uint64_t rows_from_outside = 0;
  for (const Bucket bucket : backend::kBuckets) {
    rows_from_outside += merge.from_outside(bucket);
    context.printer.print({{"bucket", Text{std::string(backend::bucket_name(bucket))}},
                           {"rows", merge.from_tree(bucket) + merge.from_outside(bucket)},
                           {"from_damaged_trees", merge.from_outside(bucket)}});
  }
  if (!outcome.losses.empty()) context.printer.begin_table("Damage");
  for (const Problem& loss : outcome.losses) context.printer.print({{"where", Text{loss.where}}, {"problem", Text{loss.what}}});
  context.printer.end_table();
  if (context.printer.format() == Format::kTable) context.printer.out().write("\n");
  context.printer.print_list({{"written", Data{options.other}},
                              {"bytes", plan.bytes()},
                              {"rows", plan.rows},
                              {"from_damaged_trees", rows_from_outside},
                              {"several_versions", outside->ambiguous()},
                              {"unusable_rows", refused + merge.out_of_order()},
                              {"damaged_places", outcome.loss_count}});
  return outcome.loss_count == 0 && refused + merge.out_of_order() == 0 ? Exit::kFine : Exit::kDamage;
}

}  // namespace etcdpp::mvccdump
