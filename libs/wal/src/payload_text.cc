#include "payload_text.h"

#include <algorithm>

#include <etcdserverpb/etcdserver.pb.h>
#include <etcdserverpb/raft_internal.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message.h>
#include <nlohmann/json.hpp>
#include <raftpb/raft.pb.h>
#include <walpb/record.pb.h>

#include <etcdpp/proto/wire.h>

namespace etcdpp::wal {

namespace {

namespace pb = google::protobuf;
using Json = nlohmann::ordered_json;

// 127 nested transactions take 254 levels; etcd's own limit is far beyond.
constexpr int kMaxNesting = 1000;

bool is_secret(const std::string& name) {
  return name == "password" || name == "hashedPassword" || name == "simple_token" || name == "token";
}

// Ids are hexadecimal wherever etcd prints them.
bool is_id(const std::string& name) {
  for (const char* id : {"ID", "id", "lease", "memberID", "member_ID", "node_id", "NodeID", "ClusterID", "vote", "voters", "learners", "voters_outgoing", "learners_next"})
    if (name == id) return true;
  return false;
}

bool parse(base::BytesView bytes, pb::Message& message) {
  if (bytes.size() > std::size_t{1} << 30) return false;
  pb::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  in.SetRecursionLimit(kMaxNesting);
  return message.ParseFromCodedStream(&in) && in.ConsumedEntireMessage();
}

Json describe(const pb::Message& message);

Json describe_value(const pb::Message& message, const pb::FieldDescriptor& field, int i) {
  const pb::Reflection& reflection = *message.GetReflection();
  const bool many = field.is_repeated();
  const auto number = [&](std::uint64_t value) -> Json {
    if (is_id(field.name())) return base::hex(value);
    return value;
  };
  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      const std::string& value = many ? reflection.GetRepeatedStringReference(message, &field, i, &scratch)
                                      : reflection.GetStringReference(message, &field, &scratch);
      if (is_secret(field.name())) return "<redacted>";
      return base::printable(value);
    }
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      return describe(many ? reflection.GetRepeatedMessage(message, &field, i) : reflection.GetMessage(message, &field));
    case pb::FieldDescriptor::CPPTYPE_ENUM: {
      const int value = many ? reflection.GetRepeatedEnumValue(message, &field, i) : reflection.GetEnumValue(message, &field);
      const auto* known = field.enum_type()->FindValueByNumber(value);
      return known ? Json(known->name()) : Json(value);
    }
    case pb::FieldDescriptor::CPPTYPE_INT64: {
      const std::int64_t value = many ? reflection.GetRepeatedInt64(message, &field, i) : reflection.GetInt64(message, &field);
      if (is_id(field.name())) return number(static_cast<std::uint64_t>(value));
      return value;
    }
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      return number(many ? reflection.GetRepeatedUInt64(message, &field, i) : reflection.GetUInt64(message, &field));
    case pb::FieldDescriptor::CPPTYPE_INT32:
      return many ? reflection.GetRepeatedInt32(message, &field, i) : reflection.GetInt32(message, &field);
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      return many ? reflection.GetRepeatedUInt32(message, &field, i) : reflection.GetUInt32(message, &field);
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return many ? reflection.GetRepeatedBool(message, &field, i) : reflection.GetBool(message, &field);
    case pb::FieldDescriptor::CPPTYPE_DOUBLE: return reflection.GetDouble(message, &field);
    case pb::FieldDescriptor::CPPTYPE_FLOAT: return reflection.GetFloat(message, &field);
  }
  return nullptr;
}

// Nested as deep as the parser let it.
Json describe(const pb::Message& message) {
  Json out = Json::object();
  std::vector<const pb::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    Json& value = out[field->name()];
    if (!field->is_repeated()) {
      value = describe_value(message, *field, 0);
      continue;
    }
    value = Json::array();
    for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i)
      value.push_back(describe_value(message, *field, i));
  }
  return out;
}

// Where the bytes of secret fields lie, at any depth of requests: walks the wire along the schema.
void find_secrets(base::BytesView bytes, const pb::Descriptor& type, int depth, std::vector<base::BytesView>& out) {
  proto::WireReader reader(bytes);
  while (reader.next()) {
    const auto* field = type.FindFieldByNumber(static_cast<int>(reader.number()));
    if (!field || !reader.is_bytes()) continue;
    if (is_secret(field->name())) out.push_back(reader.bytes());
    else if (field->message_type() && depth < kMaxNesting) find_secrets(reader.bytes(), *field->message_type(), depth + 1, out);
  }
}

void describe_request(base::BytesView data, bool contents, Json& out, Payload& payload) {
  etcdserverpb::InternalRaftRequest request;
  if (!parse(data, request)) {
    payload.decoded = false;
    out["kind"] = "undecodable";
    return;
  }
  std::vector<const pb::FieldDescriptor*> fields;
  request.GetReflection()->ListFields(request, &fields);
  if (request.has_header()) {
    out["request-id"] = base::hex(request.header().id());
    if (!request.header().username().empty()) out["user"] = base::printable(request.header().username());
    if (request.header().auth_revision() != 0) out["auth-revision"] = request.header().auth_revision();
  } else if (request.id() != 0) {
    out["request-id"] = base::hex(request.id());
  }
  out["kind"] = "none";
  for (const pb::FieldDescriptor* field : fields) {
    if (field->name() == "header" || field->name() == "ID") continue;
    out["kind"] = field->name();
    if (contents) out["request"] = describe(request.GetReflection()->GetMessage(request, field));
  }
  find_secrets(data, *request.GetDescriptor(), 0, payload.secrets);
}

void describe_entry(base::BytesView data, bool contents, Json& out, Payload& payload) {
  raftpb::Entry entry;
  if (!parse(data, entry)) {
    payload.decoded = false;
    return;
  }
  payload.index = entry.index();
  payload.term = entry.term();
  out["term"] = entry.term();
  out["index"] = entry.index();
  out["size"] = entry.data().size();
  // Found again in the record's own bytes, so that the secrets' places are places in it.
  base::BytesView request;
  proto::WireReader reader(data);
  while (reader.next())
    if (reader.number() == 4 && reader.is_bytes()) request = reader.bytes();
  const auto change = [&](auto& message, const char* kind) {
    out["kind"] = kind;
    payload.decoded = parse(request, message);
    if (payload.decoded && contents) out["request"] = describe(message);
  };
  if (entry.type() == raftpb::EntryConfChange) {
    raftpb::ConfChange message;
    change(message, "conf_change");
  } else if (entry.type() == raftpb::EntryConfChangeV2) {
    raftpb::ConfChangeV2 message;
    change(message, "conf_change_v2");
  } else if (request.empty()) {
    out["kind"] = "empty";
  } else {
    describe_request(request, contents, out, payload);
  }
}

std::string shortened(const std::string& text, std::size_t limit) {
  std::string out = "\"";
  for (const char c : std::string_view(text).substr(0, limit)) {
    if (c == '"') out += '\\';
    out += c;
  }
  out += '"';
  if (text.size() > limit) out += "...(" + std::to_string(text.size()) + ")";
  return out;
}

void append_value(const Json& value, std::size_t limit, bool bare, std::string& out) {
  if (value.is_object()) {
    if (!bare) out += '{';
    bool first = true;
    for (const auto& [name, each] : value.items()) {
      if (!first) out += ' ';
      first = false;
      out += name;
      out += '=';
      // Names from the schema and ids need no quotes.
      if (each.is_string() && (is_id(name) || name == "kind" || name == "request-id")) out += each.get_ref<const std::string&>();
      else append_value(each, limit, false, out);
    }
    if (!bare) out += '}';
  } else if (value.is_array()) {
    out += '[';
    bool first = true;
    for (const Json& each : value) {
      if (!first) out += ' ';
      first = false;
      append_value(each, limit, false, out);
    }
    out += ']';
  } else if (value.is_string()) {
    out += shortened(value.get_ref<const std::string&>(), limit);
  } else {
    out += value.dump();
  }
}

}  // namespace

Payload describe_payload(const Record& record, bool contents, Json& out) {
  Payload payload;
  const auto plain = [&](pb::Message&& message) {
    payload.decoded = parse(record.data, message);
    if (payload.decoded) out.update(describe(message));
  };
  switch (static_cast<RecordType>(record.type)) {
    case RecordType::kMetadata: plain(etcdserverpb::Metadata()); break;
    case RecordType::kState: plain(raftpb::HardState()); break;
    case RecordType::kSnapshot: plain(walpb::Snapshot()); break;
    case RecordType::kEntry: describe_entry(record.data, contents, out, payload); break;
    case RecordType::kCrc: break;
    default: payload.decoded = false;
  }
  return payload;
}

std::string one_line(const Json& object, std::size_t limit) {
  std::string out;
  append_value(object, limit, true, out);
  return out;
}

}  // namespace etcdpp::wal
