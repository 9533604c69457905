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

// What bucket `key` knows of its own rows: every main revision above the last compaction has one.
class History {
 public:
  // Of a tree, in order.
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
    last_key_.assign(key);
  }

  // The greatest revision whose predecessor has no row.
  bool has_gap() const { return main_ > compacted_ + 1 && main_ > 0; }
  Problem gap() const { return {"bucket key", "has no row of a revision below " + std::to_string(main_) + " that no compaction can have removed"}; }
  base::Bytes behind_compaction() const { return base::Bytes(mvcc::RowKeyBytes({compacted_ + 1, 0}, false).view()); }

  // A row outside of the trees that is newer than all of the tree, and that no compaction can have removed.
  bool is_beyond(base::BytesView key, base::BytesView value) const {
    const auto row = mvcc::decode_row_key(key);
    return row && key > last_key_ && (row->revision.main > compacted_ || (row->revision.main == compacted_ && !row->tombstone)) &&
           guess_bucket(key, value) == Bucket::kKey;
  }
  void found_beyond(base::BytesView key) {
    const std::int64_t main = mvcc::decode_row_key(key)->revision.main;
    beyond_first_ = beyond_first_ == 0 ? main : std::min(beyond_first_, main);
    beyond_last_ = std::max(beyond_last_, main);
  }
  bool has_beyond() const { return beyond_first_ != 0; }
  Problem beyond() const {
    return {"bucket key", "ends with revision " + std::to_string(last_) + ", and pages outside of its tree have " + std::to_string(beyond_first_) + " to " +
                              std::to_string(beyond_last_) + ": its root is not the page that it was, or a commit was cut off"};
  }
  base::Bytes behind_last() const { return last_key_ + '\0'; }
  // Whether compaction can have been at what stands behind the last row.
  bool ends_compacted() const { return last_ < compacted_; }

 private:
  // A store's first change has revision 2.
  std::int64_t last_ = 1, compacted_ = 1, main_ = 0, beyond_first_ = 0, beyond_last_ = 0;
  base::Bytes last_key_;
};

}  // namespace

base::Result<std::unique_ptr<Source>> open_bolt_source(base::Env& env, const std::string& file) {
  ETCDPP_ASSIGN(auto reader, bolt::Reader::open(env, file));
  return std::unique_ptr<Source>(std::make_unique<BoltSource>(std::move(reader)));
}

base::Result<SalvageOutcome> salvage_bolt(base::Env& env, const std::string& file, const SavedRowVisitor& visit) {
  const base::Bytes key_bucket(backend::bucket_name(Bucket::kKey));
  std::vector<bolt::LostRange> lost;
  const auto is_lost = [&](Bucket bucket, base::BytesView key) {
    return std::any_of(lost.begin(), lost.end(), [&](const bolt::LostRange& range) { return range.covers(backend::bucket_name(bucket), key); });
  };
  History history;
  ETCDPP_ASSIGN(const auto report, bolt::salvage(
      env, file,
      [&](const bolt::SalvagedRow& row) -> base::Result<> {
        const auto bucket = row.bucket.empty() ? guess_bucket(row.key, row.value) : backend::bucket_named(row.bucket);
        if (!bucket) return {};
        if (row.in_tree) {
          history.look_at(*bucket, row.key, row.value);
        } else if (!row.stray && !is_lost(*bucket, row.key)) {
          if (*bucket != Bucket::kKey || !history.is_beyond(row.key, row.value)) return {};
          history.found_beyond(row.key);
        }
        return visit({*bucket, row.key, row.value, row.in_tree});
      },
      [&](const bolt::SalvageReport& so_far) -> base::Result<bool> {
        lost = so_far.lost;
        // A page that is whole but not the one that belongs there shows only in this, and hides what stands behind it too.
        if (history.has_gap()) lost.push_back({key_bucket, history.behind_compaction(), std::nullopt, {}});
        // The same of the root, which leaves no gap. What compaction left of the rows that are gone is told from what it
        // has removed by nothing, so it is asked first whether rows are gone at all.
        if (history.ends_compacted()) {
          const auto looked = bolt::salvage(
              env, file,
              [&](const bolt::SalvagedRow& row) -> base::Result<> {
                if (!row.in_tree && history.is_beyond(row.key, row.value)) history.found_beyond(row.key);
                return {};
              },
              [](const bolt::SalvageReport&) -> base::Result<bool> { return true; });
          ETCDPP_TRY(looked);
          if (history.has_beyond()) lost.push_back({key_bucket, history.behind_last(), std::nullopt, {}});
        }
        return true;
      }));
  SalvageOutcome outcome;
  for (const bool beyond : {false, true}) {
    if (!(beyond ? history.has_beyond() : history.has_gap())) continue;
    outcome.losses.push_back(beyond ? history.beyond() : history.gap());
    ++outcome.loss_count;
  }
  for (const auto& range : report.lost) {
    outcome.losses.push_back(as_problem(range.why));
    outcome.losses.back().what += range.bucket.empty() ? " (all buckets)" : " (bucket " + base::printable(range.bucket) + ")";
  }
  for (const auto& stray : report.strays) outcome.losses.push_back(as_problem(stray));
  outcome.loss_count += report.lost_count + report.stray_count;
  return outcome;
}

}  // namespace etcdpp::mvccdump
