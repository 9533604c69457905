// waldump --verify: whether a log is whole, check by check.

#include <fmt/format.h>

#include <etcdpp/wal/dump.h>
#include <etcdpp/wal/snapshot_file.h>

#include "log_walker.h"
#include "output.h"
#include "text_out.h"
#include "verdict_text.h"

namespace etcdpp::wal {

namespace {

struct Counts {
  std::uint64_t sound = 0;
  std::uint64_t unchecked = 0;
  std::uint64_t broken = 0;
  std::uint64_t behind_end = 0;
};

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Nothing at a start depends on them; etcd's tools and a way back to 3.6 do.
std::string snapshot_files(base::Env& env, const std::string& directory) {
  const auto names = env.list(directory);
  if (!names) return {};
  std::uint64_t whole = 0;
  std::string newest;
  std::string damaged;
  for (const std::string& name : *names) {
    if (!parse_snapshot_file_name(name)) continue;
    if (const auto snapshot = read_snapshot_file(env, directory + "/" + name)) {
      ++whole;
      newest = fmt::format(", the newest of index {}, term {}", snapshot->metadata.index, snapshot->metadata.term);
    } else {
      damaged += fmt::format("; cannot be read: {} ({})", name, snapshot.error().code.message());
    }
  }
  return fmt::format("{} whole{}{}", whole, newest, damaged);
}

std::string list_of(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

void write_text(base::Env& env, const LogFiles& log, const LogWalker& walker, const Counts& counts, const Style& style, Output& out) {
  const LogCheck& check = walker.check();
  std::string& text = out.text();
  const auto line = [&](std::string_view name, const std::string& value) {
    append_toned(text, name, Tone::kName, style.color);
    text.append(12 - name.size(), ' ');
    text += base::printable(value) + "\n";
  };
  line("log", log.name);
  line("segments", log.files.size() == 1 ? std::string(base_name(log.files.front()))
                                         : fmt::format("{}, {} to {}{}", log.files.size(), base_name(log.files.front()), base_name(log.files.back()),
                                                       log.missing.empty() ? "" : "; one is missing " + log.missing));
  if (check.metadata()) line("owner", fmt::format("member {:x} of cluster {:x}", check.metadata()->node_id, check.metadata()->cluster_id));
  std::string checksums = fmt::format("{} frames agree", counts.sound);
  if (counts.broken > 0) checksums += fmt::format(", {} broken", counts.broken);
  if (counts.unchecked > 0) checksums += fmt::format(", {} behind a gap in the chain", counts.unchecked);
  if (counts.behind_end > 0) checksums += fmt::format("; {} of all lie behind the log's end", counts.behind_end);
  line("checksums", checksums);
  std::string entries = "none";
  if (check.entries() > 0) {
    entries = fmt::format("{} to {}, terms {} to {}", check.first_index(), check.last_index(), check.first_term(), check.last_term());
    if (check.overwritten() > 0) entries += fmt::format("; {} written over by newer leaders", check.overwritten());
  }
  line("entries", entries);
  line("hard state", check.state().empty() ? "none" : fmt::format("term {}, vote {:x}, commit {}", check.state().term, check.state().vote, check.state().commit));
  std::string markers = fmt::format("{} marker{}", check.markers().size(), check.markers().size() == 1 ? "" : "s");
  if (const SnapshotMarker* newest = check.newest_marker()) markers += fmt::format("; a start reads from index {}, term {}", newest->index, newest->term);
  line("snapshots", markers);
  if (!log.snap_directory.empty()) line("snap files", snapshot_files(env, log.snap_directory));
  if (!log.kept_copies.empty()) line("repaired", "earlier; copies of before: " + list_of(log.kept_copies));
  if (!log.in_preparation.empty()) line("prepared", list_of(log.in_preparation));
}

void write_json(base::Env& env, const LogFiles& log, const LogWalker& walker, const Counts& counts, Output& out) {
  const LogCheck& check = walker.check();
  std::string& text = out.text();
  TreeWriter tree(text, true);
  tree.open_object("");
  tree.bytes("log", log.name);
  tree.open_list("segments");
  for (const std::string& file : log.files) tree.bytes("", base_name(file));
  tree.close_list();
  if (!log.missing.empty()) tree.bytes("missing", log.missing);
  if (check.metadata()) {
    tree.id("member-id", check.metadata()->node_id);
    tree.id("cluster-id", check.metadata()->cluster_id);
  }
  tree.number("sound-frames", counts.sound);
  tree.number("unchecked-frames", counts.unchecked);
  tree.number("broken-frames", counts.broken);
  tree.number("frames-behind-end", counts.behind_end);
  tree.number("entries", check.entries());
  tree.number("overwritten-entries", check.overwritten());
  if (check.entries() > 0) {
    tree.number("first-index", check.first_index());
    tree.number("last-index", check.last_index());
    tree.number("first-term", check.first_term());
    tree.number("last-term", check.last_term());
  }
  tree.open_object("hard-state");
  tree.number("term", check.state().term);
  tree.id("vote", check.state().vote);
  tree.number("commit", check.state().commit);
  tree.close_object();
  tree.open_list("markers");
  for (const SnapshotMarker& marker : check.markers()) {
    tree.open_object("");
    tree.number("index", marker.index);
    tree.number("term", marker.term);
    tree.close_object();
  }
  tree.close_list();
  if (const SnapshotMarker* newest = check.newest_marker()) tree.number("start-index", newest->index);
  if (!log.snap_directory.empty()) tree.bytes("snap-files", snapshot_files(env, log.snap_directory));
  if (!log.kept_copies.empty()) tree.bytes("kept-copies", list_of(log.kept_copies));
  tree.close_object();
  text += '\n';
}

}  // namespace

base::Result<Ending> verify(base::Env& env, std::span<const std::string> paths, const Style& style, const DumpHooks& hooks, const Sink& out) {
  ETCDPP_ASSIGN(const std::vector<LogFiles> logs, find_logs(env, paths));
  Output output(out);
  Ending worst = Ending::kIntact;
  for (const LogFiles& log : logs) {
    LogWalker walker(env, log, hooks);
    Counts counts;
    for (;;) {
      ETCDPP_ASSIGN(const bool more, walker.next());
      if (!more) break;
      const FoundFrame& frame = walker.frame();
      ++(frame.broken() ? counts.broken : frame.verdict == FrameVerdict::kUnchecked ? counts.unchecked : counts.sound);
      if (frame.behind_end) ++counts.behind_end;
    }
    if (style.json) write_json(env, log, walker, counts, output);
    else write_text(env, log, walker, counts, style, output);
    write_verdict(log, walker, style, walker.frames(), output);
    worst = worse(worst, walker.ending());
  }
  output.flush();
  return worst;
}

}  // namespace etcdpp::wal
