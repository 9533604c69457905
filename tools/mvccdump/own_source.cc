#include <algorithm>
#include <map>

#include <etcdpp/backend/database_file.h>
#include <etcdpp/backend/errc.h>
#include <etcdpp/backend/salvage.h>

#include "source.h"

namespace etcdpp::mvccdump {

namespace {

Problem as_problem(const backend::SalvageLoss& loss) {
  return {"page " + std::to_string(loss.page) + " (byte " + std::to_string(loss.offset) + ")",
          loss.what + (loss.tree.empty() ? "" : " (tree " + loss.tree + ")")};
}

class OwnSource final : public Source {
 public:
  OwnSource(base::Env& env, std::unique_ptr<backend::DatabaseFile> file) : env_(env), file_(std::move(file)) {}

  const std::string& path() const override { return file_->pages().path(); }

  base::Result<FileFacts> facts() override {
    FileFacts facts;
    ETCDPP_ASSIGN(const auto file, env_.open(path(), base::OpenMode::kReadOnly));
    ETCDPP_ASSIGN(facts.file_size, file->size());
    backend::PageReader& pages = file_->pages();
    facts.page_size = pages.page_size();
    facts.pages = pages.pages();
    facts.transaction = pages.transaction();
    if (const auto identity = file_->identity()) {
      facts.format_version = identity->format_version;
      facts.cluster_id = identity->cluster_id;
      facts.member_id = identity->member_id;
      facts.live_bytes = identity->live_bytes;
    }
    return facts;
  }

  base::Result<PageCheck> check_pages() override {
    // Of a running member the walk may be overtaken by commits; the verdict is then about the reading, not the file.
    constexpr int kTries = 5;
    PageCheck check;
    for (int tries = 1; tries <= kTries; ++tries) {
      check = {};
      ETCDPP_ASSIGN(const auto pages, backend::PageReader::open(env_, path()));
      const base::Result<> walked = pages->verify();
      if (!pages->both_metas()) check.problems.push_back({"page 0 or 1", "one of the two metas is not whole"});
      if (!walked) {
        if (walked.error().code != make_error_code(backend::Errc::kDamaged)) return walked.error();
        check.problems.push_back({"pages", walked.error().message()});
        // The walk ends at the first; salvage's goes on behind it.
        const auto more = backend::salvage(env_, path(), [](const backend::SalvagedRow&) -> base::Result<> { return {}; });
        if (more) {
          for (const auto& loss : more->losses) check.problems.push_back(as_problem(loss));
          check.problem_count = more->loss_count - more->losses.size();
        }
      }
      check.problem_count += check.problems.size();
      ETCDPP_ASSIGN(const auto now, backend::PageReader::open(env_, path()));
      check.overtaken = now->transaction() != pages->transaction();
      if (!check.overtaken) break;
    }
    return check;
  }

  base::Result<std::vector<base::Bytes>> foreign_buckets() override { return std::vector<base::Bytes>(); }
  base::Result<std::vector<Bucket>> buckets() override { return std::vector<Bucket>(backend::kBuckets.begin(), backend::kBuckets.end()); }

 protected:
  base::Result<> do_scan(Bucket bucket, const RowVisitor& visit) override {
    return file_->scan_bucket(bucket, [&](const backend::DatabaseFile::FileRow& row) -> base::Result<> {
      return visit({row.key, row.value, row.intact});
    });
  }
  base::Result<> do_scan_rows(base::BytesView first, const RowVisitor& visit) override {
    return file_->scan_rows(first, [&](const backend::DatabaseFile::FileRow& row) -> base::Result<> {
      return visit({row.key, row.value, row.intact});
    });
  }

 private:
  base::Env& env_;
  std::unique_ptr<backend::DatabaseFile> file_;
};

}  // namespace

base::Result<std::unique_ptr<Source>> open_own_source(base::Env& env, const std::string& file) {
  ETCDPP_ASSIGN(auto opened, backend::DatabaseFile::open(env, file));
  return std::unique_ptr<Source>(std::make_unique<OwnSource>(env, std::move(opened)));
}

base::Result<SalvageOutcome> salvage_own(base::Env& env, const std::string& file, const SavedRowVisitor& visit) {
  // All buckets but `key` are small: they are put in order in memory.
  constexpr std::uint64_t kMostHeld = std::uint64_t{1} << 30;
  std::map<std::pair<Bucket, base::Bytes>, base::Bytes> small;
  std::uint64_t held = 0;
  const auto gathered = backend::salvage(
      env, file,
      [&](const backend::SalvagedRow& row) -> base::Result<> {
        if (row.bucket == Bucket::kKey) return {};
        held += row.key.size() + row.value.size();
        if (held > kMostHeld) return base::Error(std::make_error_code(std::errc::not_enough_memory), file + ": more than 1 GiB in the buckets other than key");
        small[{row.bucket, base::Bytes(row.key)}] = row.value;
        return {};
      },
      [](const backend::SalvageReport&) -> base::Result<> { return enough(); });
  if (!gathered && !is_enough(gathered.error())) return gathered.error();

  auto next = small.begin();
  const auto small_before = [&](Bucket bucket) -> base::Result<> {
    for (; next != small.end() && next->first.first < bucket; ++next)
      ETCDPP_TRY(visit({next->first.first, next->first.second, next->second, true}));
    return {};
  };
  backend::SalvageReport lost;
  ETCDPP_ASSIGN(const auto report, backend::salvage(
      env, file,
      [&](const backend::SalvagedRow& row) -> base::Result<> {
        if (!row.in_tree) {
          if (!lost.may_have_lost(row.bucket, row.key) || small.contains({row.bucket, base::Bytes(row.key)})) return {};
        } else if (row.bucket != Bucket::kKey) {
          return {};
        } else {
          ETCDPP_TRY(small_before(Bucket::kKey));
        }
        return visit({row.bucket, row.key, row.value, row.in_tree});
      },
      [&](const backend::SalvageReport& so_far) -> base::Result<> {
        lost = so_far;
        for (; next != small.end(); ++next) ETCDPP_TRY(visit({next->first.first, next->first.second, next->second, true}));
        return {};
      }));
  SalvageOutcome outcome;
  for (const auto& loss : report.losses) outcome.losses.push_back(as_problem(loss));
  outcome.loss_count = report.loss_count;
  return outcome;
}

}  // namespace etcdpp::mvccdump
