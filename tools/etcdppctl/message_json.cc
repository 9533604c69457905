#include "message_json.h"

#include <google/protobuf/descriptor.h>

#include "go_text.h"

namespace etcdpp::ctl {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::OneofDescriptor;
using google::protobuf::Reflection;

bool is_id(const std::string& name) {
  return name == "cluster_id" || name == "member_id" || name == "ID";
}

/// "target_union" → "TargetUnion", as Go names the field of a oneof.
std::string camel_case(const std::string& name) {
  std::string out;
  bool upper = true;
  for (char c : name) {
    if (c == '_') {
      upper = true;
      continue;
    }
    out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = false;
  }
  return out;
}

std::string text_of(const FieldDescriptor& field, const std::string& value) {
  return field.type() == FieldDescriptor::TYPE_BYTES ? '"' + base64(value) + '"' : json_quote(value);
}

std::string unsigned_text(const FieldDescriptor& field, std::uint64_t value, IdStyle ids) {
  if (ids == IdStyle::kHexString && is_id(field.name())) return '"' + hex(value) + '"';
  return std::to_string(value);
}

std::string single(const Message& message, const FieldDescriptor& field, IdStyle ids) {
  const Reflection& in = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(in.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(in.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(in.GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return unsigned_text(field, in.GetUInt64(message, &field), ids);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return std::to_string(in.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return std::to_string(in.GetFloat(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return in.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return std::to_string(in.GetEnumValue(message, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return text_of(field, in.GetString(message, &field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return message_json(in.GetMessage(message, &field), ids);
  }
  return "null";
}

std::string element(const Message& message, const FieldDescriptor& field, int i, IdStyle ids) {
  const Reflection& in = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(in.GetRepeatedInt32(message, &field, i));
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(in.GetRepeatedInt64(message, &field, i));
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(in.GetRepeatedUInt32(message, &field, i));
    case FieldDescriptor::CPPTYPE_UINT64:
      return unsigned_text(field, in.GetRepeatedUInt64(message, &field, i), ids);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return std::to_string(in.GetRepeatedDouble(message, &field, i));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return std::to_string(in.GetRepeatedFloat(message, &field, i));
    case FieldDescriptor::CPPTYPE_BOOL:
      return in.GetRepeatedBool(message, &field, i) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return std::to_string(in.GetRepeatedEnumValue(message, &field, i));
    case FieldDescriptor::CPPTYPE_STRING:
      return text_of(field, in.GetRepeatedString(message, &field, i));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return message_json(in.GetRepeatedMessage(message, &field, i), ids);
  }
  return "null";
}

}  // namespace

std::string message_json(const Message& message, IdStyle ids) {
  const auto& descriptor = *message.GetDescriptor();
  const Reflection& in = *message.GetReflection();
  std::string out = "{";
  const auto add = [&](const std::string& name, const std::string& value) {
    if (out.size() > 1) out += ',';
    out += json_quote(name) + ':' + value;
  };
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor& field = *descriptor.field(i);
    if (const OneofDescriptor* oneof = field.real_containing_oneof()) {
      if (oneof->field(0) != &field) continue;
      const FieldDescriptor* chosen = in.GetOneofFieldDescriptor(message, oneof);
      add(camel_case(oneof->name()),
          chosen ? '{' + json_quote(chosen->name()) + ':' + single(message, *chosen, ids) + '}' : "null");
    } else if (field.is_repeated()) {
      const int size = in.FieldSize(message, &field);
      if (size == 0) continue;
      std::string list = "[";
      for (int at = 0; at < size; ++at) list += (at ? "," : "") + element(message, field, at, ids);
      add(field.name(), list + "]");
    } else if (in.HasField(message, &field)) {
      add(field.name(), single(message, field, ids));
    }
  }
  return out + "}";
}

}  // namespace etcdpp::ctl
