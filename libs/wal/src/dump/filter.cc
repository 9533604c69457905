#include <etcdpp/wal/filter.h>

#include <algorithm>
#include <charconv>

#include <etcdpp/proto/raft_codec.h>
#include <etcdpp/wal/errc.h>

#include "../replay.h"
#include "frame_filter.h"
#include "schema.h"

namespace etcdpp::wal {

namespace {

constexpr std::string_view kTypes[] = {"metadata", "entry", "state", "crc", "snapshot", "normal", "conf_change", "conf_change_v2"};
constexpr std::string_view kOtherKinds[] = {"conf_change", "conf_change_v2", "empty", "none", "unknown", "undecodable"};

std::string underscored(std::string_view word) {
  std::string out(word);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

// "lease" means lease_grant, lease_revoke and lease_checkpoint.
bool names_kind(std::string_view word, std::string_view kind) {
  if (kind == word) return true;
  if (word == "auth" && kind == "authenticate") return true;
  return kind.starts_with(word) && kind.size() > word.size() && kind[word.size()] == '_';
}

bool is_known_kind(std::string_view word) {
  const auto names = [&](std::string_view kind) { return names_kind(word, kind); };
  if (std::any_of(std::begin(kOtherKinds), std::end(kOtherKinds), names)) return true;
  return std::any_of(kRequestType.fields.begin(), kRequestType.fields.end(),
                     [&](const Field& field) { return field.message && field.number != kRequestHeaderField && names(field.name); });
}

bool take_number(std::string_view& text, bool units, std::uint64_t& out) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failed != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (!units || text.empty()) return true;
  const std::size_t power = std::string_view("kmg").find(static_cast<char>(text.front() | 0x20));
  if (power == std::string_view::npos) return true;
  const unsigned shift = 10 * static_cast<unsigned>(power + 1);
  if (out > std::numeric_limits<std::uint64_t>::max() >> shift) return false;
  out <<= shift;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<NumberRange> parse_range(std::string_view text, bool units) {
  NumberRange range;
  if (text.empty() || text == "-") return {};
  const bool open_begin = text.starts_with('-');
  if (!open_begin && !take_number(text, units, range.from)) return {};
  if (text.empty()) return NumberRange{range.from, range.from};
  if (text.starts_with("..")) text.remove_prefix(1);
  if (text.front() != '-' && text.front() != ':' && text.front() != '.') return {};
  text.remove_prefix(1);
  if (!text.empty() && !take_number(text, units, range.to)) return {};
  if (!text.empty() || range.from > range.to) return {};
  return range;
}

bool Filter::empty() const {
  return !index && !term && !size && types.empty() && kinds.empty() && !key && !prefix && !lease && !user;
}

base::Result<> validate(const Filter& filter) {
  for (const std::string& type : filter.types)
    if (std::find(std::begin(kTypes), std::end(kTypes), underscored(type)) == std::end(kTypes))
      return base::Error(Errc::kBadFilter, "type " + type + "; there are metadata, entry, state, crc, snapshot, normal, conf_change, conf_change_v2");
  for (const std::string& kind : filter.kinds)
    if (!is_known_kind(underscored(kind))) {
      std::string known;
      for (const Field& field : kRequestType.fields)
        if (field.message && field.number != kRequestHeaderField) known += std::string(known.empty() ? "" : ", ") + field.name;
      for (const std::string_view other : kOtherKinds) known += ", " + std::string(other);
      return base::Error(Errc::kBadFilter, "kind " + kind + "; there are " + known);
    }
  return {};
}

FrameFilter::FrameFilter(const Filter& filter) : filter_(filter) {
  for (std::string& type : filter_.types) type = underscored(type);
  for (std::string& kind : filter_.kinds) kind = underscored(kind);
  empty_ = filter_.empty();
  of_entries_ = filter_.size || !filter_.kinds.empty() || filter_.key || filter_.prefix || filter_.lease || filter_.user;
}

bool FrameFilter::passes(const Record& record, const std::optional<EntryView>& entry) const {
  if (empty_) return true;
  if (of_entries_ && !entry) return false;
  if (!filter_.types.empty() && !passes_type(record, entry)) return false;
  if ((filter_.index || filter_.term) && !passes_place(record, entry)) return false;
  return !of_entries_ || passes_request(*entry);
}

bool FrameFilter::passes_type(const Record& record, const std::optional<EntryView>& entry) const {
  const std::string name = record_type_name(record.type);
  return std::any_of(filter_.types.begin(), filter_.types.end(), [&](const std::string& wanted) {
    if (wanted == name) return true;
    return entry && (entry->normal() ? wanted == "normal" : wanted == entry->kind);
  });
}

bool FrameFilter::passes_place(const Record& record, const std::optional<EntryView>& entry) const {
  std::optional<std::uint64_t> index;
  std::optional<std::uint64_t> term;
  if (entry) {
    index = entry->index;
    term = entry->term;
  } else if (record.type == static_cast<std::int64_t>(RecordType::kState)) {
    if (const auto state = proto::decode_hard_state(record.data)) term = state->term;
  } else if (record.type == static_cast<std::int64_t>(RecordType::kSnapshot)) {
    if (const auto marker = decode_marker(record.data)) {
      index = marker->index;
      term = marker->term;
    }
  }
  if (filter_.index && !(index && filter_.index->holds(*index))) return false;
  return !filter_.term || (term && filter_.term->holds(*term));
}

bool FrameFilter::passes_request(const EntryView& entry) const {
  if (filter_.size && !filter_.size->holds(entry.data.size())) return false;
  if (!filter_.kinds.empty() &&
      std::none_of(filter_.kinds.begin(), filter_.kinds.end(), [&](const std::string& word) { return names_kind(word, entry.kind); }))
    return false;
  if (filter_.user && entry.user != *filter_.user) return false;
  if (!filter_.key && !filter_.prefix && !filter_.lease) return true;
  bool key = !filter_.key;
  bool prefix = !filter_.prefix;
  bool lease = !filter_.lease;
  // What can be read counts, even if the rest cannot.
  static_cast<void>(for_each_operation(entry, [&](const Operation& operation) {
    key = key || operation.touches(*filter_.key);
    prefix = prefix || operation.touches_prefix(*filter_.prefix);
    lease = lease || (operation.lease != 0 && operation.lease == *filter_.lease);
  }));
  return key && prefix && lease;
}

}  // namespace etcdpp::wal
