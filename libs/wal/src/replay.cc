#include "replay.h"

#include <algorithm>

#include <etcdpp/proto/raft_codec.h>

namespace etcdpp::wal {

base::Bytes encode_metadata(const Metadata& metadata) {
  char buffer[2 * (1 + proto::kMaxVarintSize)];
  char* at = proto::put_varint_field(buffer, 1, metadata.node_id);
  at = proto::put_varint_field(at, 2, metadata.cluster_id);
  return base::Bytes(buffer, at);
}

std::optional<Metadata> decode_metadata(base::BytesView bytes) {
  Metadata metadata;
  proto::WireReader reader(bytes);
  while (reader.next()) {
    if (!reader.is_varint()) continue;
    if (reader.number() == 1) metadata.node_id = reader.varint();
    else if (reader.number() == 2) metadata.cluster_id = reader.varint();
  }
  if (!reader.ok()) return {};
  return metadata;
}

base::Bytes encode_marker(const SnapshotMarker& marker) {
  char buffer[2 * (1 + proto::kMaxVarintSize)];
  char* at = proto::put_varint_field(buffer, 1, marker.index);
  at = proto::put_varint_field(at, 2, marker.term);
  base::Bytes out(buffer, at);
  if (!marker.conf_state) return out;
  const base::Bytes conf_state = proto::encode_conf_state(*marker.conf_state);
  out.append(buffer, proto::put_length_field(buffer, 3, conf_state.size()));
  return out + conf_state;
}

std::optional<SnapshotMarker> decode_marker(base::BytesView bytes) {
  SnapshotMarker marker;
  proto::WireReader reader(bytes);
  while (reader.next()) {
    if (reader.is_varint()) {
      if (reader.number() == 1) marker.index = reader.varint();
      else if (reader.number() == 2) marker.term = reader.varint();
    } else if (reader.is_bytes() && reader.number() == 3) {
      auto conf_state = proto::decode_conf_state(reader.bytes());
      if (!conf_state) return {};
      marker.conf_state = std::move(*conf_state);
    }
  }
  if (!reader.ok()) return {};
  return marker;
}

std::uint64_t entry_index(base::BytesView bytes) {
  std::uint64_t index = 0;
  proto::WireReader reader(bytes);
  while (reader.next())
    if (reader.number() == 3 && reader.is_varint()) index = reader.varint();
  return index;
}

base::Result<> Replay::add(const LogReader::Item& item) {
  const auto where = [&] { return "in file '" + item.segment->file->path() + "' at position: " + std::to_string(item.offset); };
  switch (static_cast<RecordType>(item.record.type)) {
    case RecordType::kMetadata: {
      if (!metadata.empty() && metadata != item.record.data) return base::Error(Errc::kMetadataConflict, where());
      const auto decoded = decode_metadata(item.record.data);
      if (!decoded) return base::Error(Errc::kBadRecord, "metadata " + where());
      metadata = item.record.data;
      result.metadata = *decoded;
      return {};
    }
    case RecordType::kEntry: {
      auto entry = proto::decode_entry(item.record.data);
      if (!entry) return base::Error(Errc::kBadRecord, "entry " + where());
      newest_index = entry->index;
      if (entry->index <= start_.index) return {};
      const std::uint64_t place = entry->index - start_.index - 1;
      if (place > result.entries.size())
        return base::Error(Errc::kSliceOutOfRange, "entry " + std::to_string(entry->index) + " follows " +
                                                       std::to_string(start_.index + result.entries.size()) + ", " + where());
      // A newer leader's entry replaces what it found at its index, and all behind it.
      result.entries.resize(static_cast<std::size_t>(place));
      result.entries.push_back(std::move(*entry));
      return {};
    }
    case RecordType::kState: {
      auto state = proto::decode_hard_state(item.record.data);
      if (!state) return base::Error(Errc::kBadRecord, "hard state " + where());
      result.hard_state = *state;
      return {};
    }
    case RecordType::kCrc: return {};
    case RecordType::kSnapshot: {
      auto marker = decode_marker(item.record.data);
      if (!marker) return base::Error(Errc::kBadRecord, "snapshot marker " + where());
      newest_index = std::max(newest_index, marker->index);
      if (marker->index == start_.index) {
        if (marker->term != start_.term)
          return base::Error(Errc::kSnapshotMismatch, "term " + std::to_string(marker->term) + " instead of " +
                                                          std::to_string(start_.term) + ", " + where());
        start_found = true;
      }
      if (marker->index <= end_index() || is_sole_voter(*marker, result.metadata)) marked_ = std::max(marked_, marker->index);
      return {};
    }
  }
  return base::Error(Errc::kBadRecord, "unexpected block type " + std::to_string(item.record.type) + " " + where());
}

bool is_sole_voter(const SnapshotMarker& marker, const Metadata& owner) {
  return marker.conf_state && marker.conf_state->voters == std::vector<raft::NodeId>{owner.node_id} && marker.conf_state->voters_outgoing.empty();
}

base::Result<> Replay::check_end(std::uint64_t consistent_index, const std::string& where) const {
  const auto missing = [&](std::uint64_t index, const char* what) {
    return base::Error(Errc::kLogEndsEarly, "the log ends at index " + std::to_string(end_index()) + " (" + where + "), but " +
                                                what + " is " + std::to_string(index) +
                                                "; restore the log from a backup of the same moment, or remove this member and add it anew");
  };
  if (result.hard_state.commit > end_index()) return missing(result.hard_state.commit, "its last hard state's commit");
  if (consistent_index > end_index()) return missing(consistent_index, "the database's consistent index");
  if (marked_ > end_index()) return missing(marked_, "a snapshot marker's index");
  return {};
}

}  // namespace etcdpp::wal
