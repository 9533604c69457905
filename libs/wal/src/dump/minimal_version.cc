#include "minimal_version.h"

#include <algorithm>
#include <charconv>

#include <etcdpp/proto/raft_codec.h>
#include <etcdpp/wal/wal.h>

#include "../log_reader.h"
#include "../replay.h"

namespace etcdpp::wal {

namespace {

constexpr EtcdVersion kOldest = 300;
constexpr std::uint32_t kDowngradeVersionTest = 9900;

EtcdVersion version_of(base::BytesView bytes, const MessageType& type, int depth) {
  EtcdVersion version = type.since;
  proto::WireReader reader(bytes);
  while (reader.next()) {
    const Field* field = type.find(reader.number());
    if (!field) continue;
    version = std::max(version, field->since);
    if (field->message && reader.is_bytes() && depth < kMaxNesting) version = std::max(version, version_of(reader.bytes(), *field->message, depth + 1));
    // The one value that came later than its enumeration and is found in entries.
    if (field->kind == FieldKind::kEnum && reader.is_varint()) {
      const std::string_view name = enum_name(*field, static_cast<std::int64_t>(reader.varint()));
      if (name == "NOT_EQUAL") version = std::max<EtcdVersion>(version, 301);
      if (name == "LEASE" || name == "CORRUPT") version = std::max<EtcdVersion>(version, 303);
    }
  }
  return version;
}

// etcd's tests put any version into this one.
EtcdVersion own_version(base::BytesView bytes) {
  proto::WireReader reader(bytes);
  std::string_view text;
  while (reader.next())
    if (reader.number() == 1 && reader.is_bytes()) text = reader.bytes();
  unsigned major = 0;
  unsigned minor = 0;
  const auto [dot, bad_major] = std::from_chars(text.data(), text.data() + text.size(), major);
  if (bad_major != std::errc() || dot == text.data() + text.size() || *dot != '.') return kOldest;
  if (std::from_chars(dot + 1, text.data() + text.size(), minor).ec != std::errc() || major > 600 || minor > 99) return kOldest;
  return static_cast<EtcdVersion>(major * 100 + minor);
}

}  // namespace

EtcdVersion minimal_version_of(const EntryView& entry) {
  if (entry.type == 1) return version_of(entry.data, kConfChangeType, 0);
  if (entry.type == 2) return version_of(entry.data, kConfChangeV2Type, 0);
  if (entry.request && entry.request->number == kDowngradeVersionTest) return std::max<EtcdVersion>(own_version(entry.body), kOldest);
  return version_of(entry.data, kRequestType, 0);
}

base::Result<EtcdRelease> minimal_version(base::Env& env, const std::string& directory, std::uint64_t behind) {
  ETCDPP_ASSIGN(const std::vector<std::string> names, segments_from(env, directory, behind));
  ETCDPP_ASSIGN(const std::vector<OpenSegment> segments, open_segments(env, directory, names, base::OpenMode::kReadOnly));
  LogReader reader(segments);
  EtcdVersion version = kOldest;
  for (LogReader::Item item;;) {
    auto next = reader.next(item);
    if (!next && next.error().code != Errc::kUnexpectedEof) return next.error();
    if (!next || !*next) break;
    if (item.record.type != static_cast<std::int64_t>(RecordType::kEntry)) continue;
    const auto entry = view_entry(item.record.data);
    if (!entry) return base::Error(Errc::kBadRecord, "entry " + reader.position());
    if (entry->index > behind) version = std::max(version, minimal_version_of(*entry));
  }
  return EtcdRelease{static_cast<unsigned>(version / 100), static_cast<unsigned>(version % 100)};
}

}  // namespace etcdpp::wal
