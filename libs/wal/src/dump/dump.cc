#include <etcdpp/wal/dump.h>

#include <etcdpp/wal/errc.h>

#include "frame_filter.h"
#include "frame_printer.h"
#include "log_walker.h"
#include "text_out.h"
#include "verdict_text.h"

namespace etcdpp::wal {

namespace {

// Where a start would begin to read.
struct Start {
  std::uint64_t index = 0;
  std::size_t file = 0;
  std::uint64_t offset = 0;
};

base::Result<Start> find_start(base::Env& env, const LogFiles& log, const DumpHooks& hooks) {
  LogWalker walker(env, log, hooks);
  std::vector<Start> markers;
  for (;;) {
    ETCDPP_ASSIGN(const bool more, walker.next());
    if (!more) break;
    const std::size_t known = walker.check().markers().size();
    if (known > markers.size()) markers.push_back({walker.check().markers().back().index, walker.file(), walker.frame().offset});
  }
  const std::uint64_t commit = walker.check().state().commit;
  while (!markers.empty() && markers.back().index > commit) markers.pop_back();
  return markers.empty() ? Start{} : markers.back();
}

class Dump {
 public:
  Dump(base::Env& env, const DumpOptions& options, const DumpHooks& hooks, Output& out)
      : env_(env), options_(options), hooks_(hooks), filter_(options.filter), out_(out) {}

  base::Result<Ending> show(const LogFiles& log) {
    std::optional<Start> start;
    if (options_.since_snapshot) {
      ETCDPP_ASSIGN(start, find_start(env_, log, hooks_));
    }
    FramePrinter printer(options_, out_);
    LogWalker walker(env_, log, hooks_);
    walker.on_segment = [&](const std::string& path, std::uint64_t size) { printer.segment(path, size); };
    if (options_.follow) walker.set_following();
    LogFiles files = log;
    bool released = false;
    while (out_.alive()) {
      ETCDPP_ASSIGN(const bool more, walker.next());
      if (!more) {
        if (!options_.follow || walker.ending() != Ending::kIntact || !hooks_.wait) break;
        if (!released) printer.release();
        released = true;
        if (!out_.flush() || !hooks_.wait()) return Ending::kIntact;
        ETCDPP_TRY(look_again(walker, files));
        continue;
      }
      if (shown(walker, start)) printer.frame(walker.frame(), walker.entry());
      // What is broken here will not be mended by the writer.
      if (options_.follow && walker.frame().broken()) break;
    }
    printer.release();
    write_verdict(log, walker, options_.style, printer.printed(), out_);
    return walker.ending();
  }

 private:
  bool shown(const LogWalker& walker, const std::optional<Start>& start) const {
    const FoundFrame& frame = walker.frame();
    if (start) {
      if (walker.entry() && !frame.broken()) {
        if (walker.entry()->index <= start->index) return false;
      } else if (walker.file() < start->file || (walker.file() == start->file && frame.offset < start->offset)) {
        return false;
      }
    }
    if (filter_.empty()) return true;
    return frame.has_record() && filter_.passes(frame.record, walker.entry());
  }

  base::Result<> look_again(LogWalker& walker, LogFiles& files) {
    if (files.whole_directory) {
      ETCDPP_ASSIGN(const std::vector<LogFiles> now, find_logs(env_, std::span(&files.name, 1)));
      for (const std::string& file : now.front().files) {
        if (file <= files.files.back()) continue;
        walker.add_segment(file);
        files.files.push_back(file);
      }
    }
    return walker.look_again();
  }

  base::Env& env_;
  const DumpOptions& options_;
  const DumpHooks& hooks_;
  const FrameFilter filter_;
  Output& out_;
};

}  // namespace

base::Result<Ending> dump(base::Env& env, std::span<const std::string> paths, const DumpOptions& options, const DumpHooks& hooks, const Sink& out) {
  ETCDPP_TRY(validate(options.filter));
  ETCDPP_ASSIGN(const std::vector<LogFiles> logs, find_logs(env, paths));
  if (options.follow && logs.size() > 1) return base::Error(Errc::kBadFilter, "only one log can be followed at a time");
  Output output(out);
  Dump dump(env, options, hooks, output);
  Ending worst = Ending::kIntact;
  for (const LogFiles& log : logs) {
    ETCDPP_ASSIGN(const Ending ending, dump.show(log));
    worst = worse(worst, ending);
    if (!output.flush()) break;
  }
  return worst;
}

}  // namespace etcdpp::wal
