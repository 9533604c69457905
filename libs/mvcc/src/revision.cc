#include <etcdpp/mvcc/revision.h>

#include <string>

#include <etcdpp/mvcc/errc.h>

namespace etcdpp::mvcc {

RowKeyBytes::RowKeyBytes(Revision revision, bool tombstone) : size_(tombstone ? kTombstoneRowKeyBytes : kRowKeyBytes) {
  base::put_be64(bytes_.data(), static_cast<std::uint64_t>(revision.main));
  bytes_[8] = '_';
  base::put_be64(bytes_.data() + 9, static_cast<std::uint64_t>(revision.sub));
  bytes_[17] = 't';
}

base::Result<RowKey> decode_row_key(base::BytesView bytes) {
  auto bad = [&](const char* why) {
    return base::Error(Errc::kBadRowKey, std::string(why) + " in " + base::hex(bytes.substr(0, 32)));
  };
  if (bytes.size() != kRowKeyBytes && bytes.size() != kTombstoneRowKeyBytes)
    return base::Error(Errc::kBadRowKey, std::to_string(bytes.size()) + " bytes, not 17 or 18");
  if (bytes[8] != '_') return bad("no '_' between main and sub");
  RowKey key;
  key.revision.main = static_cast<std::int64_t>(base::get_be64(bytes.data()));
  key.revision.sub = static_cast<std::int64_t>(base::get_be64(bytes.data() + 9));
  if (key.revision.main < 0 || key.revision.sub < 0) return bad("negative revision");
  key.tombstone = bytes.size() == kTombstoneRowKeyBytes;
  if (key.tombstone && bytes[17] != 't') return bad("unknown mark");
  return key;
}

}  // namespace etcdpp::mvcc
