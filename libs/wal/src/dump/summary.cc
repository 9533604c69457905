// waldump --summary: what a log is full of.

#include <algorithm>
#include <deque>

#include <etcdpp/proto/wire.h>
#include <etcdpp/wal/dump.h>
#include <fmt/format.h>

#include "frame_filter.h"
#include "hot_prefixes.h"
#include "kind_counts.h"
#include "log_walker.h"
#include "minimal_version.h"
#include "output.h"
#include "payload_text.h"
#include "text_out.h"
#include "verdict_text.h"

namespace etcdpp::wal {

namespace {

constexpr std::size_t kTop = 10;
constexpr std::size_t kMostChanges = 1000;
constexpr std::size_t kKeyLimit = 64;

// A bounded list that counts on when it is full.
template <typename T>
struct Newest {
  std::deque<T> items;
  std::uint64_t count = 0;
  void add(T item) {
    ++count;
    items.push_back(std::move(item));
    if (items.size() > kMostChanges) items.pop_front();
  }
};

struct BigRequest {
  std::uint64_t index;
  std::uint64_t term;
  std::uint64_t size;
  std::string kind;
  base::Bytes key;
};

struct LeaderChange {
  std::uint64_t index;
  std::uint64_t term;
  /// This member's vote in the term, 0 if it had none by then.
  std::uint64_t vote;
};

struct ConfChangeSeen {
  std::uint64_t index;
  std::uint64_t term;
  std::string kind;
  base::Bytes bytes;
  bool v2;
};

class Summary {
 public:
  void add(const FoundFrame& frame, const std::optional<EntryView>& entry, const raft::HardState& state) {
    ++records_[record_type_name(frame.record.type)];
    if (!entry) return;
    const EntryView& e = *entry;
    kinds_.add(e.kind, e.index, e.data.size());
    version_ = std::max(version_, minimal_version_of(e));
    if (!e.user.empty() && users_.size() < kMostChanges) ++users_[std::string(e.user)];
    if (e.kind == "empty" && e.term != last_term_) leaders_.add({e.index, e.term, state.term == e.term ? state.vote : 0});
    last_term_ = e.term;
    if (!e.normal()) conf_changes_.add({e.index, e.term, std::string(e.kind), base::Bytes(e.data), e.type == 2});
    base::BytesView first_key;
    bool has_key = false;
    static_cast<void>(for_each_operation(e, [&](const Operation& operation) {
      if (operation.what == Operation::What::kLease || operation.what == Operation::What::kCompare) return;
      if (!has_key) first_key = operation.key;
      has_key = true;
      if (operation.what != Operation::What::kRange) prefixes_.add(operation.key, operation.size);
    }));
    if (biggest_.size() < kTop || e.data.size() > biggest_.back().size) {
      const auto at = std::find_if(biggest_.begin(), biggest_.end(), [&](const BigRequest& each) { return each.size < e.data.size(); });
      biggest_.insert(at, {e.index, e.term, e.data.size(), std::string(e.kind), base::Bytes(first_key.substr(0, 4 * kKeyLimit))});
      if (biggest_.size() > kTop) biggest_.pop_back();
    }
  }

  void write_text(const LogWalker& walker, const Style& style, Output& out) const;
  void write_json(const LogWalker& walker, Output& out) const;

 private:
  // In the order of their number.
  std::vector<std::pair<std::string_view, const KindCounts::Count*>> by_count() const {
    std::vector<std::pair<std::string_view, const KindCounts::Count*>> sorted;
    for (const auto& [kind, count] : kinds_.kinds()) sorted.emplace_back(kind, &count);
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second->entries > b.second->entries; });
    return sorted;
  }
  static std::string change_text(const ConfChangeSeen& change) {
    std::string text;
    TreeWriter tree(text, false, 200);
    tree.open_object("");
    if (!describe_message(change.bytes, change.v2 ? kConfChangeV2Type : kConfChangeType, tree, text)) return "undecodable";
    return text;
  }

  std::map<std::string, std::uint64_t> records_;
  std::map<std::string, std::uint64_t> users_;
  KindCounts kinds_;
  HotPrefixes prefixes_;
  std::vector<BigRequest> biggest_;
  Newest<LeaderChange> leaders_;
  Newest<ConfChangeSeen> conf_changes_;
  std::uint64_t last_term_ = 0;
  EtcdVersion version_ = 300;
};

std::string human(std::uint64_t bytes) {
  if (bytes < 10'000) return fmt::format("{} B", bytes);
  if (bytes < 10'000'000) return fmt::format("{:.1f} kB", static_cast<double>(bytes) / 1e3);
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

// A picture of counts, one character a step, by tenths of the highest.
std::string picture(const KindCounts::Count& count, std::size_t used) {
  static constexpr std::string_view kLevels = " .:-=+*#%@";
  const std::uint64_t most = *std::max_element(count.along.begin(), count.along.end());
  std::string out;
  for (std::size_t i = 0; i < used; ++i) {
    const std::uint64_t n = count.along[i];
    out += n == 0 ? ' ' : kLevels[1 + static_cast<std::size_t>((n - 1) * 8 / std::max<std::uint64_t>(most, 1))];
  }
  return out;
}

void Summary::write_text(const LogWalker& walker, const Style& style, Output& out) const {
  std::string& text = out.text();
  const auto title = [&](std::string_view words) {
    if (!text.empty()) text += '\n';
    append_toned(text, words, Tone::kName, style.color);
    text += '\n';
  };
  std::uint64_t total = 0;
  std::uint64_t bytes = 0;
  for (const auto& [kind, count] : kinds_.kinds()) {
    total += count.entries;
    bytes += count.bytes;
  }
  text += fmt::format("{} entries, {} of data; records:", total, human(bytes));
  for (const auto& [name, count] : records_) text += fmt::format(" {} {}", count, base::printable(name));
  text += '\n';
  if (walker.check().metadata())
    text += fmt::format("member {:x} of cluster {:x}\n", walker.check().metadata()->node_id, walker.check().metadata()->cluster_id);
  text += fmt::format("needs etcd {}.{} or newer\n", version_ / 100, version_ % 100);

  title("requests by kind");
  text += fmt::format("{:<28}{:>10}{:>8}{:>12}{:>12}   along the index, each character {} of it\n", "kind", "count", "of 100", "bytes", "on average", kinds_.step());
  for (const auto& [kind, count] : by_count())
    text += fmt::format("{:<28}{:>10}{:>8.1f}{:>12}{:>12}  [{}]\n", kind, count->entries, 100.0 * static_cast<double>(count->entries) / static_cast<double>(total),
                        human(count->bytes), human(count->bytes / count->entries), picture(*count, kinds_.used()));
  if (!biggest_.empty()) {
    title("biggest requests");
    text += fmt::format("{:>12}{:>8}{:>12}  {:<28}first key\n", "index", "term", "size", "kind");
    for (const BigRequest& each : biggest_) {
      text += fmt::format("{:>12}{:>8}{:>12}  {:<28}", each.index, each.term, human(each.size), each.kind);
      TreeWriter(text, false, kKeyLimit).bytes("", each.key);
      text += '\n';
    }
  }
  if (const auto hottest = prefixes_.hottest(kTop); !hottest.empty()) {
    title("hottest prefixes");
    text += fmt::format("{:>12}{:>12}  prefix\n", "writes", "bytes");
    for (const auto& [prefix, heat] : hottest) {
      text += fmt::format("{:>12}{:>12}  ", heat.writes, human(heat.bytes));
      TreeWriter(text, false, kKeyLimit).bytes("", prefix);
      text += '\n';
    }
  }
  title("leaders");
  text += fmt::format("{} began a term in this log\n", leaders_.count);
  for (const LeaderChange& each : leaders_.items) {
    text += fmt::format("{:>12}{:>8}", each.index, each.term);
    if (each.vote != 0) text += fmt::format("  this member voted for {:x}", each.vote);
    text += '\n';
  }
  title("conf changes");
  text += fmt::format("{} in this log\n", conf_changes_.count);
  for (const ConfChangeSeen& each : conf_changes_.items) text += fmt::format("{:>12}{:>8}  {}\n", each.index, each.term, change_text(each));
  if (!users_.empty()) {
    title("users");
    for (const auto& [user, count] : users_) text += fmt::format("{:>12}  {}\n", count, base::printable(user));
  }
  text += '\n';
  out.whole();
}

void Summary::write_json(const LogWalker& walker, Output& out) const {
  std::string& text = out.text();
  const auto object = [&](const char* what, const auto& fill) {
    TreeWriter tree(text, true);
    tree.open_object("");
    tree.word("summary", what);
    fill(tree);
    tree.close_object();
    text += '\n';
  };
  object("log", [&](TreeWriter& tree) {
    if (walker.check().metadata()) {
      tree.id("member-id", walker.check().metadata()->node_id);
      tree.id("cluster-id", walker.check().metadata()->cluster_id);
    }
    tree.open_object("records");
    for (const auto& [name, count] : records_) tree.number(base::printable(name), count);
    tree.close_object();
    tree.word("needs-etcd", fmt::format("{}.{}", version_ / 100, version_ % 100));
    tree.number("leader-changes", leaders_.count);
    tree.number("conf-changes", conf_changes_.count);
  });
  for (const auto& [kind, count] : by_count())
    object("kind", [&](TreeWriter& tree) {
      tree.word("kind", kind);
      tree.number("count", count->entries);
      tree.number("bytes", count->bytes);
      tree.number("first-index", kinds_.first());
      tree.number("indices-per-step", kinds_.step());
      tree.open_list("counts-along-index");
      for (std::size_t i = 0; i < kinds_.used(); ++i) tree.number("", count->along[i]);
      tree.close_list();
    });
  for (const BigRequest& each : biggest_)
    object("biggest-request", [&](TreeWriter& tree) {
      tree.number("index", each.index);
      tree.number("term", each.term);
      tree.number("size", each.size);
      tree.word("kind", each.kind);
      tree.bytes("key", each.key);
    });
  for (const auto& [prefix, heat] : prefixes_.hottest(kTop))
    object("hot-prefix", [&, &p = prefix, &h = heat](TreeWriter& tree) {
      tree.bytes("prefix", p);
      tree.number("writes", h.writes);
      tree.number("bytes", h.bytes);
    });
  for (const LeaderChange& each : leaders_.items)
    object("leader-change", [&](TreeWriter& tree) {
      tree.number("index", each.index);
      tree.number("term", each.term);
      if (each.vote != 0) tree.id("vote", each.vote);
    });
  for (const ConfChangeSeen& each : conf_changes_.items)
    object("conf-change", [&](TreeWriter& tree) {
      tree.number("index", each.index);
      tree.number("term", each.term);
      tree.word("kind", each.kind);
      tree.open_object("request");
      describe_message(each.bytes, each.v2 ? kConfChangeV2Type : kConfChangeType, tree, text);
      tree.close_object();
    });
  for (const auto& [user, count] : users_)
    object("user", [&, &u = user, &n = count](TreeWriter& tree) {
      tree.bytes("user", u);
      tree.number("count", n);
    });
  out.whole();
}

}  // namespace

base::Result<Ending> summarise(base::Env& env, std::span<const std::string> paths, const Filter& filter, const Style& style,
                               const DumpHooks& hooks, const Sink& out) {
  ETCDPP_TRY(validate(filter));
  ETCDPP_ASSIGN(const std::vector<LogFiles> logs, find_logs(env, paths));
  const FrameFilter wanted(filter);
  Output output(out);
  Ending worst = Ending::kIntact;
  for (const LogFiles& log : logs) {
    LogWalker walker(env, log, hooks);
    Summary summary;
    for (;;) {
      ETCDPP_ASSIGN(const bool more, walker.next());
      if (!more) break;
      const FoundFrame& frame = walker.frame();
      // What a damaged frame says is not counted.
      if (!frame.broken() && !frame.behind_end && wanted.passes(frame.record, walker.entry())) summary.add(frame, walker.entry(), walker.check().state());
    }
    if (style.json) summary.write_json(walker, output);
    else summary.write_text(walker, style, output);
    write_verdict(log, walker, style, walker.frames(), output);
    worst = worse(worst, walker.ending());
  }
  output.flush();
  return worst;
}

}  // namespace etcdpp::wal
