#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/wal/record.h>
#include <nlohmann/json_fwd.hpp>

namespace etcdpp::wal {

/// What a record carries, in words: a tree of names and values without secrets. Private to the dump.
struct Payload {
  /// False when the bytes are not what the record's type says.
  bool decoded = true;
  /// Of an entry.
  std::uint64_t index = 0;
  std::uint64_t term = 0;
  /// Places of passwords and tokens inside the record's data.
  std::vector<base::BytesView> secrets;
};

/// Fills `out` (an object). Bytes become text by base::printable; ids of members and leases are hexadecimal. Without
/// `contents` only kinds and sizes are told.
Payload describe_payload(const Record& record, bool contents, nlohmann::ordered_json& out);

/// "name=value name={…}": one line for people; strings above `limit` bytes are shortened and say their size.
std::string one_line(const nlohmann::ordered_json& object, std::size_t limit);

}  // namespace etcdpp::wal
