#include "record_shape.h"

#include <array>

#include <etcdpp/proto/wire.h>

namespace etcdpp::wal {

namespace {

// Markers without a conf state are etcd 3.4's; ids of members and clusters, which would look like one, are not so small.
constexpr std::uint64_t kLargestIndex = std::uint64_t{1} << 48;

struct Fields {
  std::array<bool, 5> varint{};
  std::array<bool, 5> bytes{};
  std::array<std::uint64_t, 5> value{};
  std::size_t data_size = 0;
  bool others = false;
  bool ok = true;
};

Fields read(base::BytesView data) {
  Fields fields;
  proto::WireReader reader(data);
  while (reader.next()) {
    const std::uint32_t n = reader.number();
    if (n > 4 || (!reader.is_varint() && !reader.is_bytes())) {
      fields.others = true;
    } else if (reader.is_varint()) {
      fields.varint[n] = true;
      fields.value[n] = reader.varint();
    } else {
      fields.bytes[n] = true;
      fields.data_size = reader.bytes().size();
    }
  }
  fields.ok = reader.ok() && !fields.others;
  return fields;
}

}  // namespace

bool has_shape_of_its_type(const Record& record) {
  if (record.type == static_cast<std::int64_t>(RecordType::kCrc)) return record.data.empty();
  const Fields f = read(record.data);
  if (!f.ok || f.bytes[1] || f.bytes[2]) return false;
  switch (static_cast<RecordType>(record.type)) {
    case RecordType::kMetadata: return f.varint[1] && f.varint[2] && f.value[1] != 0 && !f.varint[3] && !f.bytes[3] && !f.bytes[4];
    case RecordType::kEntry: {
      const bool numbers = f.varint[2] && f.varint[3] && !f.bytes[3] && !f.varint[4] && f.value[2] != 0 && f.value[3] != 0;
      return numbers && f.value[1] <= 2 && (f.value[1] == 0 || f.data_size > 0);
    }
    case RecordType::kState: return f.varint[1] && f.varint[2] && f.varint[3] && f.value[1] != 0 && !f.varint[4] && !f.bytes[3] && !f.bytes[4];
    case RecordType::kSnapshot:
      return f.varint[1] && f.varint[2] && !f.varint[3] && !f.varint[4] && !f.bytes[4] && (f.bytes[3] || f.value[1] < kLargestIndex);
    case RecordType::kCrc: break;
  }
  return false;
}

}  // namespace etcdpp::wal
