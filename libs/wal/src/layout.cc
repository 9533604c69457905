#include <etcdpp/wal/layout.h>

namespace etcdpp::wal {

namespace {

std::string hex16(std::uint64_t value) {
  std::string out(16, '0');
  for (std::size_t at = 16; value != 0; value >>= 4) out[--at] = "0123456789abcdef"[value & 15];
  return out;
}

// Sixteen hexadecimal digits off the front; Go's scanner takes upper case too.
std::optional<std::uint64_t> take_hex16(std::string_view& name) {
  if (name.size() < 16) return {};
  std::uint64_t value = 0;
  for (char c : name.substr(0, 16)) {
    unsigned digit;
    if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
    else if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
    else if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A') + 10;
    else return {};
    value = value << 4 | digit;
  }
  name.remove_prefix(16);
  return value;
}

// "<16 digits>-<16 digits><suffix>".
bool take_pair(std::string_view name, std::string_view suffix, std::uint64_t& first, std::uint64_t& second) {
  const auto a = take_hex16(name);
  if (!a || !name.starts_with('-')) return false;
  name.remove_prefix(1);
  const auto b = take_hex16(name);
  if (!b || name != suffix) return false;
  first = *a;
  second = *b;
  return true;
}

}  // namespace

std::string member_directory(std::string_view data_dir) { return std::string(data_dir) + "/member"; }
std::string wal_directory(std::string_view data_dir) { return member_directory(data_dir) + "/wal"; }
std::string snap_directory(std::string_view data_dir) { return member_directory(data_dir) + "/snap"; }
std::string own_directory(std::string_view data_dir) { return member_directory(data_dir) + "/etcdpp"; }

std::string segment_name(SegmentId id) { return hex16(id.sequence) + "-" + hex16(id.index) + ".wal"; }

std::optional<SegmentId> parse_segment_name(std::string_view name) {
  SegmentId id;
  if (!take_pair(name, ".wal", id.sequence, id.index)) return {};
  return id;
}

std::string snapshot_file_name(SnapshotId id) { return hex16(id.term) + "-" + hex16(id.index) + ".snap"; }

std::optional<SnapshotId> parse_snapshot_file_name(std::string_view name) {
  SnapshotId id;
  if (!take_pair(name, ".snap", id.term, id.index)) return {};
  return id;
}

std::string database_snapshot_name(std::uint64_t index) { return hex16(index) + ".snap.db"; }

std::optional<std::uint64_t> parse_database_snapshot_name(std::string_view name) {
  const auto index = take_hex16(name);
  if (!index || name != ".snap.db") return {};
  return index;
}

}  // namespace etcdpp::wal
