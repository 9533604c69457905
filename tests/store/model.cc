#include "model.h"

#include <algorithm>

#include <etcdpp/base/crc32c.h>

namespace etcdpp::store_test {

namespace {

void varint(std::string& out, std::uint64_t v) {
  for (; v >= 0x80; v >>= 7) out.push_back(static_cast<char>(v | 0x80));
  out.push_back(static_cast<char>(v));
}
void field(std::string& out, char tag, std::int64_t v) {
  if (v == 0) return;
  out.push_back(tag);
  varint(out, static_cast<std::uint64_t>(v));
}
void field(std::string& out, char tag, const std::string& v) {
  if (v.empty()) return;
  out.push_back(tag);
  varint(out, v.size());
  out += v;
}

// mvccpb.KeyValue.
std::string encode(const std::string& key, std::int64_t created, std::int64_t modified, std::int64_t version, const std::string& value,
                   std::int64_t lease) {
  std::string out;
  field(out, 0x0a, key);
  field(out, 0x10, created);
  field(out, 0x18, modified);
  field(out, 0x20, version);
  field(out, 0x2a, value);
  field(out, 0x30, lease);
  return out;
}

std::string row_key(std::int64_t main, std::int64_t sub, bool tombstone) {
  std::string out;
  for (const std::int64_t n : {main, sub}) {
    if (!out.empty()) out.push_back('_');
    for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(n >> shift));
  }
  if (tombstone) out.push_back('t');
  return out;
}

}  // namespace

bool Comparison::holds(std::int64_t found, std::int64_t wanted) const {
  switch (relation) {
    case Relation::kEqual: return found == wanted;
    case Relation::kGreater: return found > wanted;
    case Relation::kLess: return found < wanted;
    case Relation::kNotEqual: return found != wanted;
  }
  return false;
}

bool Comparison::holds(const std::string& found) const { return holds(found.compare(value) < 0 ? -1 : found != value, 0); }

void Answer::number(std::int64_t n) { text_.append(reinterpret_cast<const char*>(&n), sizeof n); }

void Answer::bytes(std::string_view b) {
  number(static_cast<std::int64_t>(b.size()));
  text_ += b;
}

const Model::Version* Model::at(const std::vector<Version>& history, std::int64_t revision) const {
  auto behind = std::upper_bound(history.begin(), history.end(), revision, [](std::int64_t r, const Version& v) { return r < v.main; });
  if (behind == history.begin() || std::prev(behind)->tombstone) return nullptr;
  return &*std::prev(behind);
}

template <typename Visit>
void Model::each(const std::string& key, const std::string& range_end, Visit&& visit) const {
  if (range_end.empty()) {
    if (const auto found = keys_.find(key); found != keys_.end()) visit(found->first, found->second);
    return;
  }
  const bool to_the_end = range_end == std::string(1, '\0');
  for (auto at = keys_.lower_bound(key); at != keys_.end() && (to_the_end || at->first < range_end); ++at) visit(at->first, at->second);
}

void Model::add_row(const std::string& key, Version version) {
  rows_.push_back({version.main, version.sub, version.tombstone, version.encoded});
  keys_[key].push_back(std::move(version));
}

void Model::put(const Operation& operation, std::int64_t& sub) {
  Version v;
  v.main = revision_ + 1;
  v.sub = sub++;
  const auto& history = keys_[operation.key];
  const bool creates = history.empty() || history.back().tombstone;
  v.created = creates ? v.main : history.back().created;
  v.number = creates ? 1 : history.back().number + 1;
  v.lease = operation.lease;
  v.value = operation.value;
  v.encoded = encode(operation.key, v.created, v.main, v.number, v.value, v.lease);
  add_row(operation.key, std::move(v));
  if (operation.lease != 0) leases_[operation.key] = operation.lease;
  else leases_.erase(operation.key);
}

void Model::erase(const std::string& key, std::int64_t& sub) {
  Version v;
  v.main = revision_ + 1;
  v.sub = sub++;
  v.tombstone = true;
  v.encoded = encode(key, 0, 0, 0, "", 0);
  add_row(key, std::move(v));
  leases_.erase(key);
}

ReadError Model::check(std::int64_t requested, std::int64_t current, std::int64_t compacted) const {
  if (requested > current) return ReadError::kFuture;
  if (requested > 0 && requested < compacted) return ReadError::kCompacted;
  return ReadError::kNone;
}

void Model::range(const Operation& operation, std::int64_t at_revision, Answer& answer) const {
  std::int64_t count = 0;
  std::vector<std::pair<const std::string*, const Version*>> rows;
  each(operation.key, operation.range_end, [&](const std::string& key, const std::vector<Version>& history) {
    const Version* v = at(history, at_revision);
    if (!v) return;
    ++count;
    if (!operation.count_only && (operation.limit == 0 || static_cast<std::int64_t>(rows.size()) < operation.limit)) rows.emplace_back(&key, v);
  });
  answer.number(count);
  answer.number(!operation.count_only && static_cast<std::int64_t>(rows.size()) < count);
  for (const auto& [key, v] : rows) {
    if (operation.keys_only) {
      answer.bytes(*key);
      for (const std::int64_t n : {v->main, v->sub, v->created, v->number}) answer.number(n);
    } else {
      answer.bytes(v->encoded);
    }
  }
}

std::string Model::read(const Operation& operation, std::int64_t current, std::int64_t compacted) const {
  Answer answer;
  const ReadError error = check(operation.revision, current, compacted);
  answer.number(static_cast<std::int64_t>(error));
  if (error != ReadError::kNone) return answer.text();
  answer.number(current);
  range(operation, operation.revision > 0 ? operation.revision : current, answer);
  return answer.text();
}

std::string Model::apply(const Entry& entry) {
  Answer answer;
  if (entry.compaction) {
    const ReadError error = entry.revision <= compact_revision_ ? ReadError::kCompacted
                            : entry.revision > revision_        ? ReadError::kFuture
                                                                : ReadError::kNone;
    answer.number(static_cast<std::int64_t>(error));
    if (error == ReadError::kNone) compact(entry.revision);
    return answer.text();
  }
  bool succeeded = true;
  for (const Comparison& c : entry.comparisons) {
    const Version* v = nullptr;
    if (const auto found = keys_.find(c.key); found != keys_.end()) v = at(found->second, revision_);
    switch (c.target) {
      case Comparison::Target::kVersion: succeeded &= c.holds(v ? v->number : 0, c.number); break;
      case Comparison::Target::kCreate: succeeded &= c.holds(v ? v->created : 0, c.number); break;
      case Comparison::Target::kMod: succeeded &= c.holds(v ? v->main : 0, c.number); break;
      case Comparison::Target::kLease: succeeded &= c.holds(v ? v->lease : 0, c.number); break;
      case Comparison::Target::kValue: succeeded &= v && c.holds(v->value); break;
    }
  }
  answer.number(succeeded);
  std::int64_t sub = 0;
  for (const Operation& operation : succeeded ? entry.success : entry.failure) {
    switch (operation.kind) {
      case Operation::Kind::kPut: put(operation, sub); break;
      case Operation::Kind::kDelete: {
        std::vector<std::string> gone;
        each(operation.key, operation.range_end, [&](const std::string& key, const std::vector<Version>& history) {
          if (!history.empty() && !history.back().tombstone) gone.push_back(key);
        });
        for (const std::string& key : gone) erase(key, sub);
        answer.number(static_cast<std::int64_t>(gone.size()));
        break;
      }
      case Operation::Kind::kRange: {
        const std::int64_t current = sub > 0 ? revision_ + 1 : revision_;
        answer.bytes(read(operation, current, compact_revision_));
        break;
      }
    }
    answer.number(sub > 0 ? revision_ + 1 : revision_);
  }
  if (sub > 0) ++revision_;
  return answer.text();
}

std::set<Model::Identity> Model::kept(std::int64_t revision, bool tombstones) const {
  std::set<Identity> kept;
  for (const auto& [key, history] : keys_) {
    auto behind = std::upper_bound(history.begin(), history.end(), revision, [](std::int64_t r, const Version& v) { return r < v.main; });
    if (behind == history.begin()) continue;
    const Version& newest = *std::prev(behind);
    if (newest.tombstone && (!tombstones || newest.main != revision)) continue;
    kept.emplace(newest.main, newest.sub);
  }
  return kept;
}

std::uint32_t Model::hash_rows(const std::vector<Row>& rows, std::int64_t compacted, std::int64_t revision, const std::set<Identity>& kept) {
  std::uint32_t crc = base::crc32c(0, "key");
  for (const Row& row : rows) {
    if (row.main > revision) break;
    if (row.main <= compacted && !kept.empty() && !kept.contains({row.main, row.sub})) continue;
    if (row.main == compacted && row.tombstone) continue;
    crc = base::crc32c(base::crc32c(crc, row_key(row.main, row.sub, row.tombstone)), row.encoded);
  }
  return crc;
}

std::optional<std::uint32_t> Model::hash(std::int64_t revision) const {
  const auto keep = kept(revision, false);
  if (keep.empty()) return std::nullopt;
  return hash_rows(rows_, compact_revision_, revision, keep);
}

void Model::compact(std::int64_t revision) {
  const auto keep = kept(revision, true);
  last_compaction_hash_ = hash_rows(rows_, compact_revision_, revision, keep);
  compact_revision_ = revision;
  std::erase_if(rows_, [&](const Row& row) { return row.main <= revision && !keep.contains({row.main, row.sub}); });
  for (auto at = keys_.begin(); at != keys_.end();) {
    std::erase_if(at->second, [&](const Version& v) { return v.main <= revision && !keep.contains({v.main, v.sub}); });
    at = at->second.empty() ? keys_.erase(at) : std::next(at);
  }
}

std::vector<std::pair<std::int64_t, std::int64_t>> Model::rows() const {
  std::vector<std::pair<std::int64_t, std::int64_t>> out;
  for (const Row& row : rows_) out.emplace_back(row.main, row.tombstone ? ~row.sub : row.sub);
  return out;
}

}  // namespace etcdpp::store_test
