#pragma once

#include <cstdint>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>

namespace etcdpp::lease {

/// Chosen by the client or by the proposing server; never 0, may be negative.
using LeaseId = std::int64_t;

/// One row of the bucket `lease`: key = the id in eight big-endian bytes, value = leasepb.Lease (spec of the backend),
/// where a field of zero is left out.
struct LeaseRow {
  LeaseId id = 0;
  std::int64_t ttl_seconds = 0;
  /// What was left at the last checkpoint; 0 = none.
  std::int64_t remaining_ttl_seconds = 0;

  friend bool operator==(const LeaseRow&, const LeaseRow&) = default;
};

base::Bytes encode_lease_key(LeaseId id);
base::Bytes encode_lease_row(const LeaseRow& row);
/// Unknown fields are skipped; kCorruptRow if the bytes are no message or the key is not the id inside.
base::Result<LeaseRow> decode_lease_row(base::BytesView key, base::BytesView value);

}  // namespace etcdpp::lease
