#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include <etcdpp/base/bytes.h>

#include "schema.h"

namespace etcdpp::wal {

/// Deeper than any request can be: etcd stops at 127 nested transactions, which take 254 levels.
inline constexpr int kMaxNesting = 1000;

/// What a raft entry is, read off its bytes without copying; borrows from them.
struct EntryView {
  std::uint64_t term = 0;
  std::uint64_t index = 0;
  /// raftpb.EntryType: 0 normal, 1 conf change, 2 conf change v2.
  std::uint64_t type = 0;
  base::BytesView data;

  // Of a normal entry's request, as far as it can be read.
  std::uint64_t request_id = 0;
  std::uint64_t auth_revision = 0;
  base::BytesView user;
  /// The member of InternalRaftRequest that is set, and its bytes; none for conf changes, empty entries and what is unknown.
  const Field* request = nullptr;
  base::BytesView body;
  /// "put", "conf_change", "empty", …; "none" without a request, "unknown" for one of a later etcd, "undecodable".
  std::string_view kind;

  bool normal() const { return type == 0; }
};

/// Nothing when the bytes are no entry. A request that cannot be read is of the kind "undecodable".
std::optional<EntryView> view_entry(base::BytesView record_data);

/// One thing that a request does to, or asks about, keys or a lease.
struct Operation {
  enum class What { kPut, kDelete, kRange, kCompare, kLease } what;
  base::BytesView key;
  /// etcd's convention: empty for one key, a single zero byte for everything from `key` on.
  base::BytesView range_end;
  /// Of a put.
  base::BytesView value = {};
  std::uint64_t lease = 0;
  /// Bytes that it takes in the log.
  std::uint64_t size = 0;

  bool touches(base::BytesView wanted) const;
  bool touches_prefix(base::BytesView prefix) const;
};

/// Every operation of a request at any depth, in order; false when it cannot be read to its end.
bool for_each_operation(const EntryView& entry, const std::function<void(const Operation&)>& visit);

}  // namespace etcdpp::wal
