#include "write_transaction.h"

#include <utility>

#include "row_format.h"

namespace etcdpp::backend {

base::Result<WriteTransaction> WriteTransaction::begin(Environment& environment) {
  const EngineCall call(environment.path());
  WriteTransaction out(environment);
  MDB_txn* transaction = nullptr;
  if (const int rc = mdb_txn_begin(environment.handle(), nullptr, 0, &transaction); rc != 0)
    return environment.error(rc, "begin of a write transaction");
  out.transaction_.reset(transaction);
  ETCDPP_ASSIGN(Reader * reader, environment.acquire());
  out.before_ = std::make_unique<Before>(environment, reader);
  ETCDPP_TRY(out.before_->free_list.to_first());
  ETCDPP_TRY(out.before_->free_list.to_last());
  ETCDPP_TRY(out.before_->own.to(own_key::kLiveBytes));
  ETCDPP_ASSIGN(out.live_bytes_, out.get_own(own_key::kLiveBytes));
  return out;
}

base::Result<> WriteTransaction::append_row(base::BytesView row_key, base::BytesView stored) {
  const EngineCall call(environment_->path());
  if (!std::exchange(before_->appends, true)) ETCDPP_TRY(before_->key.to_last());
  if (!append_) {
    MDB_cursor* cursor = nullptr;
    if (const int rc = mdb_cursor_open(handle(), environment_->key_tree(), &cursor); rc != 0)
      return environment_->error(rc, "cursor");
    append_.reset(cursor);
  }
  MDB_val key = as_val(row_key);
  MDB_val value = as_val(stored);
  const int rc = mdb_cursor_put(append_.get(), &key, &value, MDB_APPEND);
  if (rc == MDB_KEYEXIST)
    return base::Error(Errc::kCorrupt, environment_->path() + ": row " + base::hex(row_key) + " is not above the last row");
  if (rc != 0) return environment_->error(rc, "append");
  live_bytes_ += live_size(row_key.size(), stored.size() - kTrailerSize);
  return {};
}

base::Result<> WriteTransaction::erase_row(base::BytesView row_key, std::size_t value_size) {
  const EngineCall call(environment_->path());
  append_.reset();
  ETCDPP_TRY(before_->key.around(row_key));
  MDB_val key = as_val(row_key);
  if (const int rc = mdb_del(handle(), environment_->key_tree(), &key, nullptr); rc != 0)
    return environment_->error(rc, "deletion");
  live_bytes_ -= live_size(row_key.size(), value_size);
  return {};
}

base::Result<> WriteTransaction::forget_small(base::BytesView tree_key) {
  ETCDPP_TRY(before_->small.around(tree_key));
  MDB_val key = as_val(tree_key);
  MDB_val stored;
  const int rc = mdb_get(handle(), environment_->small_tree(), &key, &stored);
  if (rc == MDB_NOTFOUND) return {};
  if (rc != 0) return environment_->error(rc, "read");
  const auto row = decode_small_row(tree_key, as_view(stored));
  if (!row) return base::Error(Errc::kCorrupt, environment_->path() + ": checksum of row " + base::hex(tree_key) + " in tree small");
  live_bytes_ -= live_size(row->key.size(), row->value.size());
  return {};
}

base::Result<> WriteTransaction::put(Bucket bucket, base::BytesView key, base::BytesView value) {
  const EngineCall call(environment_->path());
  const SmallRow row = encode_small_row(bucket, key, value);
  ETCDPP_TRY(forget_small(row.tree_key));
  MDB_val tree_key = as_val(row.tree_key);
  MDB_val stored = as_val(row.stored);
  if (const int rc = mdb_put(handle(), environment_->small_tree(), &tree_key, &stored, 0); rc != 0)
    return environment_->error(rc, "write");
  live_bytes_ += live_size(key.size(), value.size());
  return {};
}

base::Result<> WriteTransaction::erase(Bucket bucket, base::BytesView key) {
  const EngineCall call(environment_->path());
  const base::Bytes tree_key = small_tree_key(bucket, key);
  ETCDPP_TRY(forget_small(tree_key));
  MDB_val wanted = as_val(tree_key);
  const int rc = mdb_del(handle(), environment_->small_tree(), &wanted, nullptr);
  if (rc != 0 && rc != MDB_NOTFOUND) return environment_->error(rc, "deletion");
  return {};
}

base::Result<> WriteTransaction::put_own(base::BytesView name, std::uint64_t number) {
  const EngineCall call(environment_->path());
  const base::Bytes stored_number = encode_own_row(name, number);
  MDB_val key = as_val(name);
  MDB_val stored = as_val(stored_number);
  if (const int rc = mdb_put(handle(), environment_->own_tree(), &key, &stored, 0); rc != 0)
    return environment_->error(rc, "write");
  return {};
}

base::Result<std::uint64_t> WriteTransaction::get_own(base::BytesView name) {
  const EngineCall call(environment_->path());
  MDB_val key = as_val(name);
  MDB_val stored;
  const int rc = mdb_get(handle(), environment_->own_tree(), &key, &stored);
  if (rc == MDB_NOTFOUND) return std::uint64_t{0};
  if (rc != 0) return environment_->error(rc, "read");
  const auto number = decode_own_row(name, as_view(stored));
  if (!number) return base::Error(Errc::kCorrupt, environment_->path() + ": checksum of row " + std::string(name) + " in tree own");
  return *number;
}

base::Result<> WriteTransaction::commit() {
  const EngineCall call(environment_->path());
  ETCDPP_TRY(put_own(own_key::kLiveBytes, live_bytes_));
  append_.reset();
  if (const int rc = mdb_txn_commit(transaction_.release()); rc != 0) return environment_->error(rc, "commit");
  return {};
}

}  // namespace etcdpp::backend
