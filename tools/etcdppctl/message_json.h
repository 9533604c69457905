#pragma once

#include <string>

#include <google/protobuf/message.h>

namespace etcdpp::ctl {

/// How member and cluster ids are written.
enum class IdStyle { kNumber, kHexString };

/// A message as Go's encoding/json writes etcd's generated structs, in one line: names as in the schema, numbers and
/// enums bare, bytes in base64, zero fields left out, a oneof as an object within the oneof's name.
/// (Protobuf's own JSON mapping differs in all of these.)
std::string message_json(const google::protobuf::Message& message, IdStyle ids = IdStyle::kNumber);

}  // namespace etcdpp::ctl
