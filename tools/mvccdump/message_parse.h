#pragma once

#include <etcdpp/base/bytes.h>

namespace etcdpp::mvccdump {

/// Whether `bytes` are a `Message` of protobuf's, which then has them.
template <typename Message>
bool parse(base::BytesView bytes, Message& message) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace etcdpp::mvccdump
