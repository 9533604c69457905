#pragma once

#include <lmdb.h>

#include <cstdint>
#include <memory>

#include <etcdpp/backend/bucket.h>
#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>

#include "environment.h"
#include "path_check.h"
#include "row_format.h"

namespace etcdpp::backend {

/// The one write transaction: rows, small operations, deletions and the counter of live bytes, all or nothing.
/// Destroyed without commit(), it leaves the database as it was.
class WriteTransaction {
 public:
  static base::Result<WriteTransaction> begin(Environment& environment);

  /// kBehind: the trailer stands behind the value already. Only where the value is in_one_piece(); others are cut.
  enum class Trailer { kBehind, kToBeMade };
  /// Above every row of the tree, else kCorrupt.
  base::Result<> append_row(base::BytesView row_key, base::BytesView value, Trailer trailer);
  /// Deletes a row whose value (without trailer) had `value_size` bytes.
  base::Result<> erase_row(base::BytesView row_key, std::size_t value_size);
  base::Result<> put(Bucket bucket, base::BytesView key, base::BytesView value);
  base::Result<> erase(Bucket bucket, base::BytesView key);
  base::Result<> put_own(base::BytesView name, std::uint64_t number);
  base::Result<std::uint64_t> get_own(base::BytesView name);

  /// Σ (key + value + 16) over all rows, as this transaction leaves them.
  std::uint64_t live_bytes() const { return live_bytes_; }

  /// Durable when it returns.
  base::Result<> commit();

  MDB_txn* handle() const { return transaction_.get(); }
  Environment& environment() const { return *environment_; }

 private:
  struct Abort {
    void operator()(MDB_txn* transaction) const { mdb_txn_abort(transaction); }
  };
  struct Close {
    void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
  };
  explicit WriteTransaction(Environment& environment) : environment_(&environment) {}
  base::Result<> open_append();
  base::Result<> append(base::BytesView key, MDB_val& stored, unsigned flags);
  base::Result<> append_made(base::BytesView key, RowFormat format, base::BytesView head, base::BytesView bytes);
  base::Result<bool> erase_stored(base::BytesView key);
  base::Result<> forget_small(base::BytesView tree_key);

  Environment* environment_;
  std::unique_ptr<MDB_txn, Abort> transaction_;
  std::unique_ptr<MDB_cursor, Close> append_;  // closed before the transaction ends
  std::uint64_t live_bytes_ = 0;

  /// The last commit, in which every way to what is about to be changed is looked at first.
  struct Before {
    explicit Before(const Environment& e, Reader* r)
        : environment(e), reader(r), key(e, r->transaction, "key"), small(e, r->transaction, "small"), own(e, r->transaction, "own"),
          free_list(e, r->transaction, PathCheck::kFreeList) {}
    Before(const Before&) = delete;
    Before& operator=(const Before&) = delete;
    ~Before() { environment.release(reader); }
    const Environment& environment;
    Reader* const reader;
    PathCheck key, small, own, free_list;
    bool appends = false;
  };
  std::unique_ptr<Before> before_;
};

}  // namespace etcdpp::backend
