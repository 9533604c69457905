#include <etcdpp/proto/raft_codec.h>

#include <string>

namespace etcdpp::proto {

namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "proto"; }
  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::kMalformed: return "proto: cannot parse invalid wire-format data";
    }
    return "proto: unknown error";
  }
};

std::size_t varint_field_size(std::uint64_t value) { return 1 + varint_size(value); }
std::size_t varint_field_size_if(std::uint64_t value) { return value == 0 ? 0 : varint_field_size(value); }
std::size_t bytes_field_size(std::size_t length) { return 1 + varint_size(length) + length; }
// Go and C++ write negative enum values as ten bytes.
std::uint64_t enum_value(auto value) { return static_cast<std::uint64_t>(static_cast<std::int64_t>(value)); }

void append_varint_field(unsigned field, std::uint64_t value, base::Bytes& out) {
  char buffer[1 + kMaxVarintSize];
  out.append(buffer, put_varint_field(buffer, field, value));
}
void append_varint_field_if(unsigned field, std::uint64_t value, base::Bytes& out) {
  if (value != 0) append_varint_field(field, value, out);
}
void append_length_field(unsigned field, std::size_t length, base::Bytes& out) {
  char buffer[1 + kMaxVarintSize];
  out.append(buffer, put_length_field(buffer, field, length));
}
void append_bytes_field(unsigned field, base::BytesView bytes, base::Bytes& out) {
  append_length_field(field, bytes.size(), out);
  out.append(bytes);
}

base::Bytes encode_snapshot_metadata(const raft::SnapshotMetadata& metadata) {
  base::Bytes out;
  append_bytes_field(1, encode_conf_state(metadata.conf_state), out);
  append_varint_field(2, metadata.index, out);
  append_varint_field(3, metadata.term, out);
  return out;
}

// Each merge_… adds what the bytes say to what is there, as protobuf does when a message comes in pieces.

// Repeated numbers come one by one, or packed.
bool merge_repeated(const WireReader& reader, std::vector<raft::NodeId>& out) {
  if (reader.is_varint()) {
    out.push_back(reader.varint());
    return true;
  }
  if (!reader.is_bytes()) return true;
  base::BytesView packed = reader.bytes();
  while (!packed.empty()) {
    std::uint64_t value = 0;
    std::size_t used = 0;
    for (;; ++used) {
      if (used == packed.size() || used == kMaxVarintSize) return false;
      const auto byte = static_cast<unsigned char>(packed[used]);
      if (used == kMaxVarintSize - 1 && byte > 1) return false;
      value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * used);
      if (byte < 0x80) break;
    }
    out.push_back(value);
    packed.remove_prefix(used + 1);
  }
  return true;
}

bool merge_entry(base::BytesView bytes, raft::Entry& entry) {
  WireReader reader(bytes);
  while (reader.next()) {
    switch (reader.number()) {
      case 1:
        if (!reader.is_varint()) break;
        if (reader.varint() > 2) return false;
        entry.type = static_cast<raft::EntryType>(reader.varint());
        break;
      case 2:
        if (reader.is_varint()) entry.term = reader.varint();
        break;
      case 3:
        if (reader.is_varint()) entry.index = reader.varint();
        break;
      case 4:
        if (reader.is_bytes()) entry.data = base::SharedBytes(reader.bytes());
        break;
      default: break;
    }
  }
  return reader.ok();
}

bool merge_conf_state(base::BytesView bytes, raft::ConfState& state) {
  WireReader reader(bytes);
  while (reader.next()) {
    bool good = true;
    switch (reader.number()) {
      case 1: good = merge_repeated(reader, state.voters); break;
      case 2: good = merge_repeated(reader, state.learners); break;
      case 3: good = merge_repeated(reader, state.voters_outgoing); break;
      case 4: good = merge_repeated(reader, state.learners_next); break;
      case 5:
        if (reader.is_varint()) state.auto_leave = reader.varint() != 0;
        break;
      default: break;
    }
    if (!good) return false;
  }
  return reader.ok();
}

bool merge_snapshot_metadata(base::BytesView bytes, raft::SnapshotMetadata& metadata) {
  WireReader reader(bytes);
  while (reader.next()) {
    if (reader.number() == 1 && reader.is_bytes()) {
      if (!merge_conf_state(reader.bytes(), metadata.conf_state)) return false;
    } else if (reader.number() == 2 && reader.is_varint()) {
      metadata.index = reader.varint();
    } else if (reader.number() == 3 && reader.is_varint()) {
      metadata.term = reader.varint();
    }
  }
  return reader.ok();
}

bool merge_snapshot(base::BytesView bytes, raft::Snapshot& snapshot) {
  WireReader reader(bytes);
  while (reader.next()) {
    if (!reader.is_bytes()) continue;
    if (reader.number() == 1) snapshot.data = base::SharedBytes(reader.bytes());
    else if (reader.number() == 2 && !merge_snapshot_metadata(reader.bytes(), snapshot.metadata)) return false;
  }
  return reader.ok();
}

bool merge_message(base::BytesView bytes, raft::Message& message) {
  std::shared_ptr<raft::Snapshot> snapshot;
  WireReader reader(bytes);
  while (reader.next()) {
    if (reader.is_varint()) {
      const std::uint64_t value = reader.varint();
      switch (reader.number()) {
        case 1:
          if (value > static_cast<std::uint64_t>(raft::kLastMessageType)) return false;
          message.type = static_cast<raft::MessageType>(value);
          break;
        case 2: message.to = value; break;
        case 3: message.from = value; break;
        case 4: message.term = value; break;
        case 5: message.log_term = value; break;
        case 6: message.index = value; break;
        case 8: message.commit = value; break;
        case 10: message.reject = value != 0; break;
        case 11: message.reject_hint = value; break;
        case 13: message.vote = value; break;
        default: break;
      }
    } else if (reader.is_bytes()) {
      switch (reader.number()) {
        case 7:
          if (!merge_entry(reader.bytes(), message.entries.emplace_back())) return false;
          break;
        case 9:
          if (!snapshot) snapshot = std::make_shared<raft::Snapshot>();
          if (!merge_snapshot(reader.bytes(), *snapshot)) return false;
          break;
        case 12: message.context = reader.bytes(); break;
        default: break;
      }
    }
  }
  message.snapshot = std::move(snapshot);
  return reader.ok();
}

}  // namespace

std::error_code make_error_code(Errc e) {
  static const Category category;
  return {static_cast<int>(e), category};
}

std::size_t encode_entry_head(const raft::Entry& entry, char* out) {
  char* at = put_varint_field(out, 1, enum_value(entry.type));
  at = put_varint_field(at, 2, entry.term);
  at = put_varint_field(at, 3, entry.index);
  if (!entry.data.empty()) at = put_length_field(at, 4, entry.data.size());
  return static_cast<std::size_t>(at - out);
}

std::size_t entry_size(const raft::Entry& entry) {
  std::size_t size = varint_field_size(enum_value(entry.type)) + varint_field_size(entry.term) + varint_field_size(entry.index);
  if (!entry.data.empty()) size += bytes_field_size(entry.data.size());
  return size;
}

void append_entry(const raft::Entry& entry, base::Bytes& out) {
  char head[kMaxEntryHeadSize];
  out.append(head, encode_entry_head(entry, head));
  out.append(entry.data.view());
}

std::size_t encode_hard_state(const raft::HardState& state, char* out) {
  char* at = put_varint_field(out, 1, state.term);
  at = put_varint_field(at, 2, state.vote);
  at = put_varint_field(at, 3, state.commit);
  return static_cast<std::size_t>(at - out);
}

base::Bytes encode_conf_state(const raft::ConfState& state) {
  base::Bytes out;
  for (raft::NodeId id : state.voters) append_varint_field(1, id, out);
  for (raft::NodeId id : state.learners) append_varint_field(2, id, out);
  for (raft::NodeId id : state.voters_outgoing) append_varint_field(3, id, out);
  for (raft::NodeId id : state.learners_next) append_varint_field(4, id, out);
  append_varint_field(5, state.auto_leave ? 1 : 0, out);
  return out;
}

base::Bytes encode_snapshot(const raft::Snapshot& snapshot) {
  const base::Bytes metadata = encode_snapshot_metadata(snapshot.metadata);
  base::Bytes out;
  out.reserve(snapshot.data.size() + metadata.size() + 2 * (1 + kMaxVarintSize));
  if (!snapshot.data.empty()) append_bytes_field(1, snapshot.data.view(), out);
  append_bytes_field(2, metadata, out);
  return out;
}

std::size_t message_size(const raft::Message& m) {
  std::size_t size = varint_field_size(enum_value(m.type)) + varint_field_size_if(m.to) + varint_field_size_if(m.from) +
                     varint_field_size_if(m.term) + varint_field_size_if(m.log_term) + varint_field_size_if(m.index) +
                     varint_field_size_if(m.commit) + varint_field_size_if(m.reject ? 1 : 0) +
                     varint_field_size_if(m.reject_hint) + varint_field_size_if(m.vote);
  for (const raft::Entry& entry : m.entries) size += bytes_field_size(entry_size(entry));
  if (m.snapshot) size += bytes_field_size(encode_snapshot(*m.snapshot).size());
  if (!m.context.empty()) size += bytes_field_size(m.context.size());
  return size;
}

void append_message(const raft::Message& m, base::Bytes& out) {
  append_varint_field(1, enum_value(m.type), out);
  append_varint_field_if(2, m.to, out);
  append_varint_field_if(3, m.from, out);
  append_varint_field_if(4, m.term, out);
  append_varint_field_if(5, m.log_term, out);
  append_varint_field_if(6, m.index, out);
  for (const raft::Entry& entry : m.entries) {
    append_length_field(7, entry_size(entry), out);
    append_entry(entry, out);
  }
  append_varint_field_if(8, m.commit, out);
  if (m.snapshot) append_bytes_field(9, encode_snapshot(*m.snapshot), out);
  append_varint_field_if(10, m.reject ? 1 : 0, out);
  append_varint_field_if(11, m.reject_hint, out);
  if (!m.context.empty()) append_bytes_field(12, m.context, out);
  append_varint_field_if(13, m.vote, out);
}

base::Bytes encode_message(const raft::Message& message) {
  base::Bytes out;
  out.reserve(message_size(message));
  append_message(message, out);
  return out;
}

base::Result<raft::Entry> decode_entry(base::BytesView bytes) {
  raft::Entry entry;
  if (!merge_entry(bytes, entry)) return base::Error(Errc::kMalformed, "raftpb.Entry");
  return entry;
}

base::Result<raft::HardState> decode_hard_state(base::BytesView bytes) {
  raft::HardState state;
  WireReader reader(bytes);
  while (reader.next()) {
    if (!reader.is_varint()) continue;
    if (reader.number() == 1) state.term = reader.varint();
    else if (reader.number() == 2) state.vote = reader.varint();
    else if (reader.number() == 3) state.commit = reader.varint();
  }
  if (!reader.ok()) return base::Error(Errc::kMalformed, "raftpb.HardState");
  return state;
}

base::Result<raft::ConfState> decode_conf_state(base::BytesView bytes) {
  raft::ConfState state;
  if (!merge_conf_state(bytes, state)) return base::Error(Errc::kMalformed, "raftpb.ConfState");
  return state;
}

base::Result<raft::Snapshot> decode_snapshot(base::BytesView bytes) {
  raft::Snapshot snapshot;
  if (!merge_snapshot(bytes, snapshot)) return base::Error(Errc::kMalformed, "raftpb.Snapshot");
  return snapshot;
}

base::Result<raft::Message> decode_message(base::BytesView bytes) {
  raft::Message message;
  if (!merge_message(bytes, message)) return base::Error(Errc::kMalformed, "raftpb.Message");
  return message;
}

}  // namespace etcdpp::proto
