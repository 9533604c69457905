#include <etcdpp/wal/record.h>

#include <algorithm>
#include <string>

#include <etcdpp/proto/wire.h>

namespace etcdpp::wal {

std::string record_type_name(std::int64_t type) {
  switch (static_cast<RecordType>(type)) {
    case RecordType::kMetadata: return "metadata";
    case RecordType::kEntry: return "entry";
    case RecordType::kState: return "state";
    case RecordType::kCrc: return "crc";
    case RecordType::kSnapshot: return "snapshot";
  }
  return "type " + std::to_string(type);
}

LengthWord decode_length_word(std::uint64_t word) {
  LengthWord decoded{word & 0x00ff'ffff'ffff'ffffULL, 0};
  if (word >> 63) decoded.padding = static_cast<unsigned>(word >> 56) & 7;
  return decoded;
}

std::uint64_t encode_length_word(std::uint64_t record_length) {
  const std::uint64_t padding = (8 - record_length % 8) % 8;
  if (padding == 0) return record_length;
  return record_length | (0x80 | padding) << 56;
}

std::optional<Record> decode_record(base::BytesView bytes) {
  Record record;
  proto::WireReader reader(bytes);
  while (reader.next()) {
    if (reader.number() == 1 && reader.is_varint()) record.type = static_cast<std::int64_t>(reader.varint());
    else if (reader.number() == 2 && reader.is_varint()) record.crc = static_cast<std::uint32_t>(reader.varint());
    else if (reader.number() == 3 && reader.is_bytes()) record.data = reader.bytes();
  }
  if (!reader.ok()) return {};
  return record;
}

std::size_t frame_size(RecordType type, std::uint32_t crc, std::size_t data_size) {
  std::size_t record = 2 + proto::varint_size(static_cast<std::uint64_t>(type)) + proto::varint_size(crc);
  if (type != RecordType::kCrc) record += 1 + proto::varint_size(data_size) + data_size;
  return kLengthWordSize + (record + 7) / 8 * 8;
}

bool is_torn(std::uint64_t body_offset, base::BytesView body) {
  while (!body.empty()) {
    const std::size_t to_boundary = kSectorSize - static_cast<std::size_t>(body_offset % kSectorSize);
    const base::BytesView piece = body.substr(0, to_boundary);
    if (std::all_of(piece.begin(), piece.end(), [](char c) { return c == 0; })) return true;
    body_offset += piece.size();
    body.remove_prefix(piece.size());
  }
  return false;
}

}  // namespace etcdpp::wal
