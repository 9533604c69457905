#include <algorithm>
#include <queue>

#include "key_rows.h"
#include "key_table.h"

namespace etcdpp::mvccdump {

namespace {

// What compaction at the current revision would leave alone counts as live.
struct Totals {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::uint64_t value_bytes = 0;
  std::uint64_t tombstones = 0;
};

// The largest so many of what is offered.
template <typename Item>
class Largest {
 public:
  explicit Largest(std::size_t count) : count_(count) {}
  bool wants(std::uint64_t size) const { return count_ > 0 && (items_.size() < count_ || size > items_.top().first); }
  void offer(std::uint64_t size, Item item) {
    if (!wants(size)) return;
    if (items_.size() == count_) items_.pop();
    items_.push({size, std::move(item)});
  }
  std::vector<std::pair<std::uint64_t, Item>> take() {
    std::vector<std::pair<std::uint64_t, Item>> out;
    for (; !items_.empty(); items_.pop()) out.push_back(items_.top());
    std::reverse(out.begin(), out.end());
    return out;
  }

 private:
  using Sized = std::pair<std::uint64_t, Item>;
  struct Smaller {
    bool operator()(const Sized& a, const Sized& b) const { return a.first > b.first; }
  };
  std::size_t count_;
  std::priority_queue<Sized, std::vector<Sized>, Smaller> items_;
};

struct BigValue {
  base::Bytes key;
  mvcc::Revision revision;
};

struct PrefixTotals {
  std::uint64_t keys = 0;
  std::uint64_t live_keys = 0;
  std::uint64_t revisions = 0;
  std::uint64_t bytes = 0;
  std::uint64_t live_bytes = 0;
};

// Up to and with the depth-th separator behind the first byte; none: the key stands for itself under "".
base::BytesView prefix_of(base::BytesView key, base::BytesView separator, std::int64_t depth) {
  if (separator.empty()) return {};
  std::size_t at = key.starts_with(separator) ? separator.size() : 0;
  std::size_t end = at;
  for (std::int64_t i = 0; i < depth; ++i) {
    const std::size_t next = key.find(separator, at);
    if (next == base::BytesView::npos) break;
    at = end = next + separator.size();
  }
  return key.substr(0, end);
}

constexpr std::size_t kMostPrefixes = 100'000;
constexpr const char* kOthers = "(others)";

Field data_or_hex(const char* name, base::BytesView bytes) { return {name, Data{base::Bytes(bytes)}}; }

class Stats {
 public:
  explicit Stats(Context& context) : context_(context), top_(static_cast<std::size_t>(std::clamp<std::int64_t>(context.options.top, 0, 10'000))), biggest_(top_) {}

  base::Result<> read(Source& source) {
    ETCDPP_ASSIGN(marks_, read_compaction_marks(source));
    ETCDPP_ASSIGN(facts_, source.facts());
    source.show(context_.progress, "reading rows");
    return scan_key_rows(context_, source, [&](const KeyRow& row) -> base::Result<> {
      if (row.row.value.empty()) return {};
      const std::uint64_t bytes = row.row.key.size() + row.row.value.size();
      revision_ = row.at.revision.main;
      ++totals_.rows;
      totals_.bytes += bytes;
      totals_.value_bytes += row.kv.value.size();
      totals_.tombstones += row.at.tombstone;
      KeyTable::Entry& entry = table_.at(row.kv.key);
      // Older than the mark and superseded: compaction has not deleted it yet.
      if (entry.revisions > 0 && revision_ <= marks_.in_force()) deletable_bytes_ += entry.newest_bytes, ++deletable_rows_;
      ++entry.revisions;
      entry.bytes += bytes;
      entry.newest_bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, UINT32_MAX));
      entry.deleted = row.at.tombstone;
      if (biggest_.wants(row.kv.value.size())) biggest_.offer(row.kv.value.size(), {base::Bytes(row.kv.key), row.at.revision});
      return {};
    });
  }

  void print() {
    count_keys();
    Printer& printer = context_.printer;
    const Record summary{{"revision", std::max({revision_, marks_.in_force(), std::int64_t{1}})},
                         field_if(marks_.in_force() >= 0, "compact_revision", marks_.in_force()),
                         {"file_size", facts_.file_size},
                         {"keys", live_keys_},
                         {"deleted_keys", static_cast<std::uint64_t>(table_.size()) - live_keys_},
                         {"revisions", totals_.rows},
                         {"tombstones", totals_.tombstones},
                         {"bytes", totals_.bytes},
                         {"value_bytes", totals_.value_bytes},
                         {"live_bytes", live_bytes_},
                         {"garbage_revisions", totals_.rows - live_keys_},
                         {"garbage_bytes", totals_.bytes - live_bytes_},
                         {"compacted_revisions_not_deleted_yet", deletable_rows_},
                         {"compacted_bytes_not_deleted_yet", deletable_bytes_}};
    if (printer.format() == Format::kTable) {
      printer.print_list(summary);
      print_tables(printer);
      return;
    }
    Record record = summary;
    record.push_back({"prefixes", Json{json_of(prefix_records())}});
    record.push_back({"revisions_per_key", Json{json_of(histogram_records())}});
    record.push_back({"most_revisions", Json{json_of(most_revised_records())}});
    record.push_back({"biggest_values", Json{json_of(biggest_records())}});
    printer.print_list(record);
  }

 private:
  void count_keys() {
    Largest<std::size_t> most(top_);
    for (std::size_t i = 0; i < table_.entries().size(); ++i) {
      const KeyTable::Entry& entry = table_.entries()[i];
      const std::uint64_t live = entry.deleted ? 0 : entry.newest_bytes;
      live_keys_ += !entry.deleted;
      live_bytes_ += live;
      most.offer(entry.revisions, i);
      for (std::size_t bound = 0; bound < kBounds.size(); ++bound) {
        if (entry.revisions > kBounds[bound]) continue;
        ++histogram_[bound];
        break;
      }
      base::BytesView prefix = prefix_of(entry.view(), context_.options.separator, context_.options.depth);
      auto there = prefixes_.find(prefix);
      if (there == prefixes_.end()) {
        if (prefixes_.size() >= kMostPrefixes) prefix = kOthers;
        there = prefixes_.try_emplace(base::Bytes(prefix)).first;
      }
      PrefixTotals& totals = there->second;
      ++totals.keys;
      totals.live_keys += !entry.deleted;
      totals.revisions += entry.revisions;
      totals.bytes += entry.bytes;
      totals.live_bytes += live;
    }
    most_revised_ = most.take();
    biggest_values_ = biggest_.take();
  }

  std::vector<Record> prefix_records() const {
    std::vector<const std::pair<const base::Bytes, PrefixTotals>*> order;
    for (const auto& prefix : prefixes_) order.push_back(&prefix);
    std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->second.bytes > b->second.bytes; });
    std::vector<Record> records;
    for (const auto* prefix : order) {
      if (records.size() >= top_) break;
      const PrefixTotals& t = prefix->second;
      records.push_back({data_or_hex("prefix", prefix->first), {"bytes", t.bytes}, {"live_bytes", t.live_bytes}, {"garbage_bytes", t.bytes - t.live_bytes},
                         {"keys", t.live_keys}, {"deleted_keys", t.keys - t.live_keys}, {"revisions", t.revisions}});
    }
    return records;
  }
  std::vector<Record> histogram_records() const {
    std::vector<Record> records;
    for (std::size_t bound = 0; bound < kBounds.size(); ++bound) {
      const std::uint64_t from = bound == 0 ? 1 : kBounds[bound - 1] + 1;
      const std::string range = kBounds[bound] == UINT32_MAX ? std::to_string(from) + " or more" : from == kBounds[bound] ? std::to_string(from) : std::to_string(from) + "-" + std::to_string(kBounds[bound]);
      records.push_back({{"revisions", Text{range}}, {"keys", histogram_[bound]}});
    }
    return records;
  }
  std::vector<Record> most_revised_records() const {
    std::vector<Record> records;
    for (const auto& [revisions, i] : most_revised_) {
      const KeyTable::Entry& entry = table_.entries()[i];
      records.push_back({data_or_hex("key", entry.view()), {"revisions", revisions}, {"bytes", entry.bytes}, {"deleted", entry.deleted}});
    }
    return records;
  }
  std::vector<Record> biggest_records() const {
    std::vector<Record> records;
    for (const auto& [size, value] : biggest_values_)
      records.push_back({data_or_hex("key", value.key), {"revision", Text{revision_text(value.revision)}}, {"value_bytes", size}});
    return records;
  }

  void print_tables(Printer& printer) const {
    const auto table = [&](const char* title, const std::vector<Record>& records) {
      if (records.empty()) return;
      printer.begin_table(title);
      for (const Record& record : records) printer.print(record);
    };
    table("Bytes by prefix", prefix_records());
    table("Revisions per key", histogram_records());
    table("Keys with most revisions", most_revised_records());
    table("Biggest values", biggest_records());
  }

  static std::string json_of(const std::vector<Record>& records) {
    std::string out;
    Output gather([&](base::BytesView bytes) {
      out += bytes;
      return true;
    });
    {
      Printer printer(gather, Format::kJson);
      for (const Record& record : records) printer.print(record);
    }
    gather.flush();
    if (!out.empty()) out.pop_back();
    // Lines into a list; no value holds a raw line end.
    std::string list = "[";
    for (const char c : out) list += c == '\n' ? ',' : c;
    return list + ']';
  }

  static constexpr std::array<std::uint32_t, 6> kBounds = {1, 2, 9, 99, 999, UINT32_MAX};

  Context& context_;
  const std::size_t top_;
  FileFacts facts_;
  CompactionMarks marks_;
  std::int64_t revision_ = 1;
  KeyTable table_;
  Totals totals_;
  std::uint64_t deletable_rows_ = 0;
  std::uint64_t deletable_bytes_ = 0;
  Largest<BigValue> biggest_;
  std::uint64_t live_keys_ = 0;
  std::uint64_t live_bytes_ = 0;
  std::map<base::Bytes, PrefixTotals, std::less<>> prefixes_;
  std::array<std::uint64_t, kBounds.size()> histogram_{};
  std::vector<std::pair<std::uint64_t, std::size_t>> most_revised_;
  std::vector<std::pair<std::uint64_t, BigValue>> biggest_values_;
};

}  // namespace

base::Result<Exit> stats_command(Context& context) {
  ETCDPP_ASSIGN(const auto source, context.open(context.options.path));
  Stats stats(context);
  ETCDPP_TRY(stats.read(*source));
  stats.print();
  return Exit::kFine;
}

}  // namespace etcdpp::mvccdump
