#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>
#include <etcdpp/mvcc/key_range.h>
#include <etcdpp/mvcc/range_reader.h>

namespace etcdpp::mvcc {

class Store;

/// One write transaction: all its changes share the next main revision and count subs from 0 in order of execution.
///
/// Apply makes one per entry that writes (a Txn's nested ops share it), calls put and delete_range, and end(). Reads of
/// the store in between see its changes. A transaction without changes takes no revision.
/// Threads: the apply loop's. Ownership: borrows keys and values for the call. Errors: none of its own: apply has
/// checked leases and revisions before; nothing can be taken back.
class WriteTxn {
 public:
  explicit WriteTxn(Store& store);
  WriteTxn(const WriteTxn&) = delete;
  WriteTxn& operator=(const WriteTxn&) = delete;
  /// end() has been called.
  ~WriteTxn();

  /// Revision that a response of this transaction carries: the next one as soon as something changed.
  std::int64_t revision() const;
  /// The revision before it.
  std::int64_t begin_revision() const { return begin_; }
  std::int64_t changes() const { return changes_; }

  /// Writes `key`; the lease (0: none) replaces the one it had.
  void put(base::BytesView key, base::BytesView value, std::int64_t lease);
  /// Ends every key of `range` that exists, in key order; how many.
  std::int64_t delete_range(const KeyRange& range);

  /// A reader of the state so far; good until the next change.
  base::Result<RangeReader> reader() const;

  /// Completes it: the store's revision moves (if anything changed) and the observer is told. Returns revision().
  std::int64_t end();

 private:
  void tombstone(base::BytesView key);

  Store& store_;
  const std::int64_t begin_;
  std::int64_t changes_ = 0;
  bool ended_ = false;
};

}  // namespace etcdpp::mvcc
