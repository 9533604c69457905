#pragma once

#include <cstdint>

#include <etcdpp/base/bytes.h>

namespace etcdpp::mvcc {

/// The store's port to whoever knows which keys hang on which lease; the server plugs the lessor in.
///
/// Threads: called by the apply loop inside WriteTxn and Store::restore.
class LeaseAttach {
 public:
  virtual ~LeaseAttach() = default;

  /// Hangs `key` on `lease` (never 0), off any other. False when the lease is unknown: apply has checked before, so
  /// that happens at a restore only, which counts it.
  virtual bool attach(std::int64_t lease, base::BytesView key) = 0;
  /// Takes `key` off its lease, if it hangs on one.
  virtual void detach(base::BytesView key) = 0;
};

}  // namespace etcdpp::mvcc
