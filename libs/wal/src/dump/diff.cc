// waldump --diff: where the logs of two members part.

#include <algorithm>

#include <etcdpp/base/crc32c.h>
#include <etcdpp/wal/dump.h>
#include <fmt/format.h>

#include "log_walker.h"
#include "output.h"
#include "payload_text.h"
#include "text_out.h"
#include "verdict_text.h"

namespace etcdpp::wal {

namespace {

constexpr std::size_t kShown = 10;

// An entry as far as two of them can be told apart, and where to read it again.
struct Print {
  std::uint64_t term;
  std::uint32_t crc;
  std::uint32_t size;
  std::uint32_t file;
  std::uint64_t offset;
};

// A log's entries as a reader would have them in the end: what was written over is gone.
struct Effective {
  LogFiles files;
  std::uint64_t first = 0;
  std::vector<Print> entries;
  std::optional<Metadata> owner;
  raft::HardState state;
  Ending ending = Ending::kIntact;
  std::string text;

  std::uint64_t last() const { return first + entries.size() - 1; }
  const Print* at(std::uint64_t index) const { return index >= first && index - first < entries.size() ? &entries[index - first] : nullptr; }
};

base::Result<Effective> read_effective(base::Env& env, const LogFiles& files, const DumpHooks& hooks) {
  Effective log;
  log.files = files;
  LogWalker walker(env, files, hooks);
  for (;;) {
    ETCDPP_ASSIGN(const bool more, walker.next());
    if (!more) break;
    if (walker.frame().broken() || walker.frame().behind_end || !walker.entry()) continue;
    const EntryView& entry = *walker.entry();
    if (log.entries.empty() || entry.index < log.first) {
      log.first = entry.index;
      log.entries.clear();
    }
    const std::uint64_t place = entry.index - log.first;
    // Behind a hole the rest is another log.
    if (place > log.entries.size()) {
      log.first = entry.index;
      log.entries.clear();
    } else {
      log.entries.resize(static_cast<std::size_t>(place));
    }
    const char type = static_cast<char>(entry.type);
    log.entries.push_back({entry.term, base::crc32c(base::crc32c(0, {&type, 1}), entry.data), static_cast<std::uint32_t>(entry.data.size()),
                           static_cast<std::uint32_t>(walker.file()), walker.frame().offset});
  }
  log.owner = walker.check().metadata();
  log.state = walker.check().state();
  log.ending = walker.ending();
  log.text = walker.text();
  return log;
}

bool same(const Print& a, const Print& b) { return a.term == b.term && a.crc == b.crc && a.size == b.size; }

// Reads one entry again and describes it.
base::Result<> describe_again(base::Env& env, const Effective& log, const Print& print, TreeWriter& tree, std::string& text) {
  ETCDPP_ASSIGN(SegmentSource source, SegmentSource::open(env, log.files.files[print.file]));
  char word[kLengthWordSize] = {};
  ETCDPP_ASSIGN(const std::size_t got, source.read_at(print.offset, word, sizeof word));
  const std::uint64_t length = decode_length_word(base::get_le64(word)).length;
  if (got < sizeof word || length > kMaxRecordSize) return {};
  base::Bytes bytes(static_cast<std::size_t>(length), '\0');
  ETCDPP_ASSIGN(const std::size_t size, source.read_at(print.offset + sizeof word, bytes.data(), bytes.size()));
  const auto record = decode_record(base::BytesView(bytes).substr(0, size));
  if (record) describe_payload(*record, view_entry(record->data), true, tree, text);
  return {};
}

class Comparison {
 public:
  Comparison(base::Env& env, const Effective& a, const Effective& b, const Style& style, Output& out) : env_(env), a_(a), b_(b), style_(style), out_(out) {}

  base::Result<Ending> run() {
    heads();
    const std::uint64_t begin = std::max(a_.first, b_.first);
    const bool overlap = !a_.entries.empty() && !b_.entries.empty() && begin <= std::min(a_.last(), b_.last());
    if (!overlap) {
      say("nothing-in-common", "no index is in both logs: nothing can be compared", begin, 0);
      return Ending::kIntact;
    }
    const std::uint64_t end = std::min(a_.last(), b_.last());
    std::uint64_t different = 0;
    std::uint64_t parting = 0;
    for (std::uint64_t index = begin; index <= end; ++index) {
      if (same(*a_.at(index), *b_.at(index))) continue;
      if (different == 0) parting = index;
      if (++different <= kShown) ETCDPP_TRY(show(index));
    }
    if (different == 0) {
      say("same", fmt::format("entries {} to {} are the same in both", begin, end), begin, end);
      longer(end);
      return Ending::kIntact;
    }
    const std::uint64_t both = std::min(a_.state.commit, b_.state.commit);
    std::string text = fmt::format("they part at index {}: {} of entries {} to {} differ", parting, different, begin, end);
    if (parting <= both) text += fmt::format("; both logs say that it is committed (up to {}): that must never be", both);
    else text += "; it is not committed in both, so raft will settle it";
    say("parts", text, parting, end);
    longer(end);
    return Ending::kParts;
  }

 private:
  void heads() {
    for (const Effective* log : {&a_, &b_}) {
      std::string& text = out_.text();
      const char* side = log == &a_ ? "a" : "b";
      if (style_.json) {
        TreeWriter tree(text, true);
        tree.open_object("");
        tree.word("diff", "log");
        tree.word("side", side);
        tree.bytes("log", log->files.name);
        if (log->owner) {
          tree.id("member-id", log->owner->node_id);
          tree.id("cluster-id", log->owner->cluster_id);
        }
        if (!log->entries.empty()) {
          tree.number("first-index", log->first);
          tree.number("last-index", log->last());
        }
        tree.number("term", log->state.term);
        tree.number("commit", log->state.commit);
        tree.word("verdict", to_string(log->ending));
        tree.bytes("text", log->text);
        tree.close_object();
        text += '\n';
      } else {
        text += fmt::format("{}  {}\n", side, base::printable(log->files.name));
        if (log->owner) text += fmt::format("   member {:x} of cluster {:x}", log->owner->node_id, log->owner->cluster_id);
        if (!log->entries.empty()) text += fmt::format(", entries {} to {}", log->first, log->last());
        text += fmt::format(", term {}, commit {}; {}\n", log->state.term, log->state.commit, to_string(log->ending));
        if (log->ending != Ending::kIntact) text += "   " + base::printable(log->text) + "\n";
      }
    }
    if (a_.owner && b_.owner && a_.owner->cluster_id != b_.owner->cluster_id) say("other-cluster", "these members belong to different clusters", 0, 0);
  }

  base::Result<> show(std::uint64_t index) {
    std::string& text = out_.text();
    for (const Effective* log : {&a_, &b_}) {
      const char* side = log == &a_ ? "a" : "b";
      if (!style_.json) append_toned(text, fmt::format("{}  ", side), log == &a_ ? Tone::kBad : Tone::kGood, style_.color);
      TreeWriter tree(text, style_.json, style_.full ? std::string::npos : 64);
      tree.open_object("");
      if (style_.json) {
        tree.word("diff", "entry");
        tree.word("side", side);
        tree.bytes("segment", log->files.files[log->at(index)->file]);
        tree.number("offset", log->at(index)->offset);
      }
      ETCDPP_TRY(describe_again(env_, *log, *log->at(index), tree, text));
      tree.close_object();
      text += '\n';
    }
    out_.whole();
    return {};
  }

  void longer(std::uint64_t end) {
    for (const Effective* log : {&a_, &b_})
      if (log->last() > end)
        say("longer", fmt::format("{} alone goes on, with entries {} to {}", log == &a_ ? "a" : "b", end + 1, log->last()), end + 1, log->last());
  }

  void say(const char* what, const std::string& words, std::uint64_t first, std::uint64_t last) {
    std::string& text = out_.text();
    if (style_.json) {
      TreeWriter tree(text, true);
      tree.open_object("");
      tree.word("diff", what);
      if (first != 0) tree.number("first-index", first);
      if (last != 0) tree.number("last-index", last);
      tree.bytes("text", words);
      tree.close_object();
    } else {
      text += base::printable(words);
    }
    text += '\n';
    out_.whole();
  }

  base::Env& env_;
  const Effective& a_;
  const Effective& b_;
  const Style& style_;
  Output& out_;
};

}  // namespace

base::Result<Ending> diff(base::Env& env, const std::string& path, const std::string& other, const Style& style, const DumpHooks& hooks,
                          const Sink& out) {
  ETCDPP_ASSIGN(const std::vector<LogFiles> first, find_logs(env, std::span(&path, 1)));
  ETCDPP_ASSIGN(const std::vector<LogFiles> second, find_logs(env, std::span(&other, 1)));
  ETCDPP_ASSIGN(const Effective a, read_effective(env, first.front(), hooks));
  ETCDPP_ASSIGN(const Effective b, read_effective(env, second.front(), hooks));
  Output output(out);
  ETCDPP_ASSIGN(const Ending outcome, Comparison(env, a, b, style, output).run());
  output.flush();
  return worse(outcome, worse(a.ending, b.ending));
}

}  // namespace etcdpp::wal
