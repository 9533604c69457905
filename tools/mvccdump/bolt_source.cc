#include <algorithm>
#include <set>

#include <etcdpp/bolt/errc.h>
#include <etcdpp/bolt/reader.h>
#include <etcdpp/bolt/salvage.h>
#include <etcdpp/bolt/verify.h>

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
  ETCDPP_ASSIGN(const auto report, bolt::salvage(
      env, file,
      [&](const bolt::SalvagedRow& row) -> base::Result<> {
        const auto bucket = row.bucket.empty() ? guess_bucket(row.key, row.value) : backend::bucket_named(row.bucket);
        if (!bucket || (!row.in_tree && !is_lost(*bucket, row.key))) return {};
        return visit({*bucket, row.key, row.value, row.in_tree});
      },
      [&](const bolt::SalvageReport& so_far) -> base::Result<> {
        lost = so_far.lost;
        return {};
      }));
  SalvageOutcome outcome;
  for (const auto& range : report.lost) {
    outcome.losses.push_back(as_problem(range.why));
    outcome.losses.back().what += range.bucket.empty() ? " (all buckets)" : " (bucket " + base::printable(range.bucket) + ")";
  }
  outcome.loss_count = report.lost_count;
  return outcome;
}

}  // namespace etcdpp::mvccdump
