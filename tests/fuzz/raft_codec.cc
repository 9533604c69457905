// What a peer, a log or a snapshot file may hold where a raft message is expected: any bytes decode or are refused, and
// what was decoded survives encoding.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <etcdpp/proto/raft_codec.h>
#include <etcdpp/raft/conf_change_codec.h>

using namespace etcdpp;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (auto message = proto::decode_message(bytes)) {
    const std::string encoded = proto::encode_message(*message);
    require(encoded.size() == proto::message_size(*message));
    auto again = proto::decode_message(encoded);
    require(again.has_value() && proto::encode_message(*again) == encoded);
  }
  if (auto entry = proto::decode_entry(bytes)) {
    std::string encoded;
    proto::append_entry(*entry, encoded);
    require(encoded.size() == proto::entry_size(*entry) && proto::decode_entry(encoded).has_value());
    (void)raft::decode_conf_change(*entry);
  }
  if (auto snapshot = proto::decode_snapshot(bytes)) require(proto::decode_snapshot(proto::encode_snapshot(*snapshot)).has_value());
  if (auto state = proto::decode_conf_state(bytes)) require(proto::decode_conf_state(proto::encode_conf_state(*state)).has_value());
  (void)proto::decode_hard_state(bytes);
  (void)raft::decode_conf_change(bytes);
  (void)raft::decode_conf_change_v2(bytes);
  return 0;
}
