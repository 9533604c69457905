#include <algorithm>
#include <set>

#include <etcdpp/bolt/errc.h>
#include <etcdpp/bolt/reader.h>
#include <etcdpp/bolt/salvage.h>
#include <etcdpp/bolt/verify.h>
#include <etcdpp/mvcc/compaction.h>
#include <etcdpp/mvcc/revision.h>

#include "row_guess.h"
#include "source.h"

namespace etcdpp::mvccdump {

namespace {

Problem as_problem(const bolt::Problem& problem) {
  return {"page " + std::to_string(problem.page) + " (byte " + std::to_string(problem.offset) + ")", problem.what};
}

class BoltSource final : public Source {
 public:
  explicit BoltSource(std::unique_ptr<bolt::Reader> reader) : reader_(std::move(reader)) {}

  const std::string& path() const override { return reader_->path(); }

  base::Result<FileFacts> facts() override {
    FileFacts facts;
    facts.engine = Engine::kBbolt;
    facts.file_size = reader_->file_size();
    facts.page_size = reader_->meta().page_size;
    facts.pages = reader_->meta().pages;
    facts.transaction = reader_->meta().transaction;
    return facts;
  }

  base::Result<PageCheck> check_pages() override {
    ETCDPP_ASSIGN(const bolt::Verdict verdict, bolt::verify(*reader_));
    PageCheck check;
    for (const auto& problem : verdict.problems) check.problems.push_back(as_problem(problem));
    check.problem_count = verdict.problem_count;
    check.free_pages = verdict.free_pages;
    check.overtaken = verdict.overtaken;
    return check;
  }

  base::Result<std::vector<base::Bytes>> foreign_buckets() override {
    ETCDPP_ASSIGN(const auto all, reader_->buckets());
    std::vector<base::Bytes> foreign;
    for (const auto& bucket : all)
      if (!backend::bucket_named(bucket.name)) foreign.push_back(bucket.name);
    return foreign;
  }

  base::Result<std::vector<Bucket>> buckets() override {
    ETCDPP_ASSIGN(const auto all, reader_->buckets());
    std::vector<Bucket> known;
    for (const auto& bucket : all)
      if (const auto name = backend::bucket_named(bucket.name)) known.push_back(*name);
    return known;
  }

 protected:
  base::Result<> do_scan(Bucket bucket, const RowVisitor& visit) override {
    return reader_->scan(backend::bucket_name(bucket), {},
                         [&](base::BytesView key, base::BytesView value) { return visit({key, value, true}); });
  }
  base::Result<> do_scan_rows(base::BytesView first, const RowVisitor& visit) override {
    return reader_->scan(backend::bucket_name(Bucket::kKey), first,
                         [&](base::BytesView key, base::BytesView value) { return visit({key, value, true}); });
  }

 private:
  std::unique_ptr<bolt::Reader> reader_;
};

// Every main revision above the last compaction has a row: the greatest one whose predecessor has none.
class HistoryGap {
 public:
  void look_at(Bucket bucket, base::BytesView key, base::BytesView value) {
    if (bucket == Bucket::kMeta && (key == mvcc::kScheduledCompactRevKey || key == mvcc::kFinishedCompactRevKey)) {
      if (const auto mark = mvcc::decode_row_key(value)) compacted_ = std::max(compacted_, mark->revision.main);
    }
    if (bucket != Bucket::kKey) return;
    const auto row = mvcc::decode_row_key(key);
    if (!row) return;
    const std::int64_t main = row->revision.main;
    if (main > last_ + 1) main_ = main;
    last_ = main;
  }
  bool there() const { return main_ > compacted_ + 1 && main_ > 0; }
  std::int64_t main() const { return main_; }
  base::Bytes first() const { return base::Bytes(mvcc::RowKeyBytes({compacted_ + 1, 0}, false).view()); }

 private:
  // A store's first change has revision 2.
  std::int64_t last_ = 1, compacted_ = 1, main_ = 0;
};

}  // namespace

base::Result<std::unique_ptr<Source>> open_bolt_source(base::Env& env, const std::string& file) {
  ETCDPP_ASSIGN(auto reader, bolt::Reader::open(env, file));
  return std::unique_ptr<Source>(std::make_unique<BoltSource>(std::move(reader)));
}

base::Result<SalvageOutcome> salvage_bolt(base::Env& env, const std::string& file, const SavedRowVisitor& visit) {
  std::vector<bolt::LostRange> lost;
  const auto is_lost = [&](Bucket bucket, base::BytesView key) {
    return std::any_of(lost.begin(), lost.end(), [&](const bolt::LostRange& range) { return range.covers(backend::bucket_name(bucket), key); });
  };
  HistoryGap gap;
  ETCDPP_ASSIGN(const auto report, bolt::salvage(
      env, file,
      [&](const bolt::SalvagedRow& row) -> base::Result<> {
        const auto bucket = row.bucket.empty() ? guess_bucket(row.key, row.value) : backend::bucket_named(row.bucket);
        if (bucket && row.in_tree) gap.look_at(*bucket, row.key, row.value);
        if (!bucket || (!row.in_tree && !is_lost(*bucket, row.key))) return {};
        return visit({*bucket, row.key, row.value, row.in_tree});
      },
      [&](const bolt::SalvageReport& so_far) -> base::Result<bool> {
        lost = so_far.lost;
        if (!gap.there()) return false;
        // A page that is whole but not the one that belongs there shows only in this, and hides what stands behind it too.
        lost.push_back({base::Bytes(backend::bucket_name(Bucket::kKey)), gap.first(), std::nullopt, {0, 0, {}}});
        return true;
      }));
  SalvageOutcome outcome;
  if (gap.there()) {
    outcome.losses.push_back({"bucket key", "has no row of a revision below " + std::to_string(gap.main()) + " that no compaction can have removed"});
    ++outcome.loss_count;
  }
  for (const auto& range : report.lost) {
    outcome.losses.push_back(as_problem(range.why));
    outcome.losses.back().what += range.bucket.empty() ? " (all buckets)" : " (bucket " + base::printable(range.bucket) + ")";
  }
  outcome.loss_count += report.lost_count;
  return outcome;
}

}  // namespace etcdpp::mvccdump
