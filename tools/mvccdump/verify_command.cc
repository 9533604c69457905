#include <etcdpp/bolt/trailer.h>

#include "row_check.h"

namespace etcdpp::mvccdump {

namespace {

constexpr std::uint64_t kMostShown = 1'000;

class Findings {
 public:
  explicit Findings(Printer& printer) : printer_(printer) {}
  void add(const Problem& problem) {
    ++count_;
    if (shown_ >= kMostShown) return;
    ++shown_;
    printer_.print({{"where", Text{problem.where}}, {"problem", Text{problem.what}}});
  }
  void add_unlisted(std::uint64_t count) { count_ += count; }
  std::uint64_t count() const { return count_; }
  std::uint64_t unlisted() const { return count_ - shown_; }

 private:
  Printer& printer_;
  std::uint64_t count_ = 0;
  std::uint64_t shown_ = 0;
};

}  // namespace

base::Result<Exit> verify_command(Context& context) {
  ETCDPP_ASSIGN(const std::string file, find_database(context.env, context.options.path));
  ETCDPP_ASSIGN(const auto engine, detect_engine(context.env, file));
  if (!engine) return context.open(file).error();
  Findings findings(context.printer);
  bool overtaken = false;
  std::uint64_t rows = 0, pages = 0;
  std::optional<std::uint64_t> free_pages;
  const auto source = context.open(file);
  if (!source) {
    findings.add({"the file", source.error().message()});
  } else {
    ETCDPP_ASSIGN(const FileFacts facts, (*source)->facts());
    pages = facts.pages;
    context.progress.begin("walking pages", 1);
    ETCDPP_ASSIGN(const PageCheck check, (*source)->check_pages());
    overtaken = check.overtaken;
    free_pages = check.free_pages;
    for (const Problem& problem : check.problems) findings.add(problem);
    findings.add_unlisted(check.problem_count - check.problems.size());
    if (*engine == Engine::kBbolt) {
      ETCDPP_ASSIGN(const bolt::Trailer trailer, bolt::check_trailer(context.env, file));
      if (trailer == bolt::Trailer::kWrong) findings.add({"the last 32 bytes", "the snapshot's SHA-256 is not that of the database before it"});
    }
    RowCheck check_rows([&](const Problem& problem) { findings.add(problem); });
    check_rows.run(**source, context.progress);
    rows = check_rows.rows();
    // Rows of different commits need not fit together: of a file that moved on meanwhile nothing is claimed.
    if (const auto now = context.open(file)) {
      ETCDPP_ASSIGN(const FileFacts later, (*now)->facts());
      overtaken |= later.transaction != facts.transaction;
    }
  }
  context.progress.clear();
  const bool whole = findings.count() == 0;
  const char* verdict = whole && !overtaken ? "whole" : overtaken ? "the database is being written to: no verdict" : "damaged";
  context.printer.print_list({{"file", Data{file}},
                              {"verdict", Text{verdict}},
                              {"problems", findings.count()},
                              field_if(findings.unlisted() > 0, "problems_not_listed", findings.unlisted()),
                              {"pages", pages},
                              field_if(free_pages.has_value(), "free_pages", free_pages.value_or(0)),
                              {"rows", rows}});
  return overtaken ? Exit::kNoVerdict : whole ? Exit::kFine : Exit::kDamage;
}

}  // namespace etcdpp::mvccdump
