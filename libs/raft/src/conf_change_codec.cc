// proto2 wire form, fields in ascending order of their numbers:
//   ConfChange       1 id varint, 2 type varint, 3 node_id varint, 4 context bytes
//   ConfChangeV2     1 transition varint, 2 changes messages, 3 context bytes
//   ConfChangeSingle 1 type varint, 2 node_id varint
#include <etcdpp/raft/conf_change_codec.h>

#include <optional>

#include <etcdpp/raft/errc.h>

namespace etcdpp::raft {

namespace {

void put_varint(base::Bytes& out, std::uint64_t v) {
  for (; v >= 0x80; v >>= 7) out += static_cast<char>(v | 0x80);
  out += static_cast<char>(v);
}

void put_number(base::Bytes& out, unsigned field, std::uint64_t v) {
  put_varint(out, field << 3);
  put_varint(out, v);
}

void put_bytes(base::Bytes& out, unsigned field, base::BytesView bytes) {
  put_varint(out, field << 3 | 2);
  put_varint(out, bytes.size());
  out += bytes;
}

struct Field {
  std::uint64_t number = 0;
  unsigned wire_type = 0;
  std::uint64_t value = 0;   // of a varint
  base::BytesView bytes;     // of a length-delimited field
};

class Reader {
 public:
  explicit Reader(base::BytesView bytes) : rest_(bytes) {}

  bool done() const { return rest_.empty(); }

  std::optional<Field> next() {
    Field field;
    const auto key = varint();
    if (!key || *key >> 3 == 0 || *key >> 3 > (1u << 29) - 1) return std::nullopt;
    field.number = *key >> 3;
    field.wire_type = static_cast<unsigned>(*key & 7);
    switch (field.wire_type) {
      case 0: {
        const auto value = varint();
        if (!value) return std::nullopt;
        field.value = *value;
        return field;
      }
      case 1: return skip(8) ? std::optional(field) : std::nullopt;
      case 2: {
        const auto length = varint();
        if (!length || *length > rest_.size()) return std::nullopt;
        field.bytes = rest_.substr(0, *length);
        rest_.remove_prefix(*length);
        return field;
      }
      case 5: return skip(4) ? std::optional(field) : std::nullopt;
      default: return std::nullopt;
    }
  }

 private:
  std::optional<std::uint64_t> varint() {
    std::uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (rest_.empty()) return std::nullopt;
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      if (shift == 63 && byte > 1) return std::nullopt;
      v |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return v;
    }
    return std::nullopt;
  }
  bool skip(std::size_t n) {
    if (rest_.size() < n) return false;
    rest_.remove_prefix(n);
    return true;
  }

  base::BytesView rest_;
};

base::Error bad(const char* what) { return {Errc::kBadConfChange, what}; }

base::Result<ConfChangeType> change_type(std::uint64_t number) {
  if (number > static_cast<std::uint64_t>(ConfChangeType::kAddLearnerNode)) return bad("unknown conf change type");
  return static_cast<ConfChangeType>(number);
}

base::Result<ConfChangeSingle> decode_single(base::BytesView bytes) {
  ConfChangeSingle change;
  for (Reader reader(bytes); !reader.done();) {
    const auto field = reader.next();
    if (!field) return bad("truncated or malformed ConfChangeSingle");
    if (field->number == 1 && field->wire_type == 0) {
      ETCDPP_ASSIGN(change.type, change_type(field->value));
    } else if (field->number == 2 && field->wire_type == 0) {
      change.node_id = field->value;
    } else if (field->number <= 2) {
      return bad("ConfChangeSingle field of the wrong wire type");
    }
  }
  return change;
}

}  // namespace

base::SharedBytes encode_conf_change(const ConfChange& change) {
  base::Bytes out;
  if (change.id != 0) put_number(out, 1, change.id);
  put_number(out, 2, static_cast<std::uint64_t>(change.type));
  put_number(out, 3, change.node_id);
  if (!change.context.empty()) put_bytes(out, 4, change.context);
  return base::SharedBytes(out);
}

base::SharedBytes encode_conf_change(const ConfChangeV2& change) {
  base::Bytes out;
  put_number(out, 1, static_cast<std::uint64_t>(change.transition));
  for (const ConfChangeSingle& single : change.changes) {
    base::Bytes inner;
    put_number(inner, 1, static_cast<std::uint64_t>(single.type));
    put_number(inner, 2, single.node_id);
    put_bytes(out, 2, inner);
  }
  if (!change.context.empty()) put_bytes(out, 3, change.context);
  return base::SharedBytes(out);
}

base::Result<ConfChange> decode_conf_change(base::BytesView bytes) {
  ConfChange change;
  for (Reader reader(bytes); !reader.done();) {
    const auto field = reader.next();
    if (!field) return bad("truncated or malformed ConfChange");
    if (field->number == 1 && field->wire_type == 0) {
      change.id = field->value;
    } else if (field->number == 2 && field->wire_type == 0) {
      ETCDPP_ASSIGN(change.type, change_type(field->value));
    } else if (field->number == 3 && field->wire_type == 0) {
      change.node_id = field->value;
    } else if (field->number == 4 && field->wire_type == 2) {
      change.context = field->bytes;
    } else if (field->number <= 4) {
      return bad("ConfChange field of the wrong wire type");
    }
  }
  return change;
}

base::Result<ConfChangeV2> decode_conf_change_v2(base::BytesView bytes) {
  ConfChangeV2 change;
  for (Reader reader(bytes); !reader.done();) {
    const auto field = reader.next();
    if (!field) return bad("truncated or malformed ConfChangeV2");
    if (field->number == 1 && field->wire_type == 0) {
      if (field->value > static_cast<std::uint64_t>(ConfChangeTransition::kJointExplicit)) return bad("unknown conf change transition");
      change.transition = static_cast<ConfChangeTransition>(field->value);
    } else if (field->number == 2 && field->wire_type == 2) {
      ETCDPP_ASSIGN(const ConfChangeSingle single, decode_single(field->bytes));
      change.changes.push_back(single);
    } else if (field->number == 3 && field->wire_type == 2) {
      change.context = field->bytes;
    } else if (field->number <= 3) {
      return bad("ConfChangeV2 field of the wrong wire type");
    }
  }
  return change;
}

base::Result<ConfChangeV2> decode_conf_change(const Entry& entry) {
  if (entry.type == EntryType::kConfChangeV2) return decode_conf_change_v2(entry.data.view());
  if (entry.type != EntryType::kConfChange) return bad("not a conf change entry");
  ETCDPP_ASSIGN(const ConfChange change, decode_conf_change(entry.data.view()));
  return ConfChangeV2(change);
}

}  // namespace etcdpp::raft
