#pragma once

#include <cstdint>

#include <etcdpp/base/bytes.h>
#include <etcdpp/mvcc/revision.h>

namespace etcdpp::mvcc {

/// One change of a key inside a write transaction; borrows everything for the call.
struct Change {
  Revision revision;
  bool tombstone = false;
  /// The put that began a generation: its event has no previous value.
  bool creates = false;
  base::BytesView key;
  /// The event's mvccpb.KeyValue, encoded: for a put the stored row, for a delete {key, mod_revision}.
  base::BytesView key_value;
};

/// The store's port to the watch log: hears of every change, in order of revision.
///
/// Threads: the apply loop's, inside WriteTxn. Changes are not yet visible to readers then: the observer makes them
/// known to others only after the View with their revision was published.
class CommitObserver {
 public:
  virtual ~CommitObserver() = default;

  /// A change of the transaction that is being made: sub = 0, 1, 2…
  virtual void on_change(const Change& change) = 0;
  /// The transaction with main revision `main` is complete; not called for one without changes.
  virtual void on_end(std::int64_t main) = 0;
};

}  // namespace etcdpp::mvcc
