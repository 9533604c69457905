#include "payload_text.h"

#include <algorithm>

#include <etcdpp/proto/wire.h>

namespace etcdpp::wal {

namespace {

constexpr std::uint32_t kFirstAuthRequest = 1000;
constexpr std::uint32_t kFirstClusterRequest = 1300;

struct Value {
  const Field* field;
  std::uint64_t number;
  base::BytesView bytes;
};

// Writes messages of any depth; the values of the open ones lie behind each other on one stack.
class MessageText {
 public:
  MessageText(TreeWriter& tree, std::string& out) : tree_(tree), out_(out) {}

  // The members of a message whose object is open.
  bool members(base::BytesView bytes, const MessageType& type, int depth) {
    if (depth > kMaxNesting) return false;
    const std::size_t base = values_.size();
    std::uint64_t unknown = 0;
    proto::WireReader reader(bytes);
    while (reader.next()) {
      const Field* field = type.find(reader.number());
      const bool fits = field && (is_bytes(field->kind) ? reader.is_bytes() : reader.is_varint());
      if (fits) values_.push_back({field, reader.is_varint() ? reader.varint() : 0, reader.is_bytes() ? reader.bytes() : base::BytesView()});
      else ++unknown;
    }
    bool good = reader.ok();
    const std::size_t end = values_.size();
    for (const Field& field : type.fields) {
      if (!good) break;
      good = this->field(field, base, end, depth);
    }
    if (good && unknown > 0) tree_.number("unknown-fields", unknown);
    values_.resize(base);
    return good;
  }

 private:
  static bool is_bytes(FieldKind kind) {
    return kind == FieldKind::kBytes || kind == FieldKind::kText || kind == FieldKind::kSecret || kind == FieldKind::kMessage;
  }

  bool field(const Field& field, std::size_t base, std::size_t end, int depth) {
    std::size_t last = end;
    bool open = false;
    for (std::size_t i = base; i < end; ++i) {
      if (values_[i].field != &field) continue;
      last = i;
      if (!field.repeated) continue;
      if (!open) tree_.open_list(field.name);
      open = true;
      if (!value(field, "", values_[i], depth)) return false;
    }
    if (open) tree_.close_list();
    if (field.repeated) return true;
    // Of a field that is there twice the last one counts.
    if (last != end) return value(field, field.name, values_[last], depth);
    return !field.shown_when_absent || value(field, field.name, {&field, 0, {}}, depth);
  }

  bool value(const Field& field, std::string_view name, Value value, int depth) {
    switch (field.kind) {
      case FieldKind::kUnsigned: tree_.number(name, value.number); return true;
      case FieldKind::kSigned: tree_.number(name, static_cast<std::int64_t>(value.number)); return true;
      case FieldKind::kId: tree_.id(name, value.number); return true;
      case FieldKind::kBool: tree_.boolean(name, value.number != 0); return true;
      case FieldKind::kBytes:
      case FieldKind::kText: tree_.bytes(name, value.bytes); return true;
      case FieldKind::kSecret: tree_.bytes(name, "<redacted>"); return true;
      case FieldKind::kEnum: {
        const std::string_view known = enum_name(field, static_cast<std::int64_t>(value.number));
        if (known.empty()) tree_.number(name, static_cast<std::int64_t>(value.number));
        else tree_.word(name, known);
        return true;
      }
      case FieldKind::kMessage: {
        tree_.open_object(name);
        const bool good = members(value.bytes, *field.message, depth + 1);
        tree_.close_object();
        return good;
      }
    }
    return false;
  }

  TreeWriter& tree_;
  std::string& out_;
  std::vector<Value> values_;
};

void find_secrets(base::BytesView bytes, const MessageType& type, int depth, std::vector<base::BytesView>& places) {
  proto::WireReader reader(bytes);
  while (reader.next()) {
    const Field* field = type.find(reader.number());
    if (!field || !reader.is_bytes()) continue;
    if (field->kind == FieldKind::kSecret) places.push_back(reader.bytes());
    else if (field->message && depth < kMaxNesting) find_secrets(reader.bytes(), *field->message, depth + 1, places);
  }
}

bool describe_entry(const EntryView& entry, bool contents, TreeWriter& tree, std::string& out) {
  tree.number("term", entry.term);
  tree.number("index", entry.index);
  tree.number("size", std::uint64_t{entry.data.size()});
  if (entry.request_id != 0) tree.id("request-id", entry.request_id);
  if (!entry.user.empty()) tree.bytes("user", entry.user);
  if (entry.auth_revision != 0) tree.number("auth-revision", entry.auth_revision);
  tree.word("kind", entry.kind);
  if (entry.kind == "undecodable") return false;
  const MessageType* type = entry.type == 1 ? &kConfChangeType : entry.type == 2 ? &kConfChangeV2Type : nullptr;
  if (entry.request) type = entry.request->message;
  if (!type || !contents) return true;
  const std::size_t before = out.size();
  tree.open_object("request");
  const bool good = MessageText(tree, out).members(entry.request ? entry.body : entry.data, *type, 1);
  tree.close_object();
  if (!good) out.resize(before);
  return good;
}

}  // namespace

bool describe_message(base::BytesView bytes, const MessageType& type, TreeWriter& tree, std::string& out) {
  const std::size_t before = out.size();
  const bool good = MessageText(tree, out).members(bytes, type, 1);
  if (!good) out.resize(before);
  return good;
}

bool describe_payload(const Record& record, const std::optional<EntryView>& entry, bool contents, TreeWriter& tree, std::string& out) {
  switch (static_cast<RecordType>(record.type)) {
    case RecordType::kMetadata: return describe_message(record.data, kMetadataType, tree, out);
    case RecordType::kState: return describe_message(record.data, kHardStateType, tree, out);
    case RecordType::kSnapshot: return describe_message(record.data, kSnapshotMarkerType, tree, out);
    case RecordType::kEntry: return entry && describe_entry(*entry, contents, tree, out);
    case RecordType::kCrc: return true;
  }
  return false;
}

std::vector<base::BytesView> secret_places(const EntryView& entry) {
  std::vector<base::BytesView> places;
  if (entry.normal()) find_secrets(entry.data, kRequestType, 0, places);
  return places;
}

bool cannot_hold_secrets(const EntryView& entry) {
  if (!entry.normal()) return true;
  if (!entry.request) return entry.kind == "empty";
  return entry.request->number < kFirstAuthRequest || entry.request->number >= kFirstClusterRequest;
}

}  // namespace etcdpp::wal
