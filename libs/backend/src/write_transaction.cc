#include "write_transaction.h"

#include <utility>

#include "row_format.h"
#include "row_parts.h"

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

base::Result<> WriteTransaction::open_append() {
  if (!std::exchange(before_->appends, true)) ETCDPP_TRY(before_->key.to_last());
  if (append_) return {};
  MDB_cursor* cursor = nullptr;
  if (const int rc = mdb_cursor_open(handle(), environment_->key_tree(), &cursor); rc != 0)
    return environment_->error(rc, "cursor");
  append_.reset(cursor);
  return {};
}

base::Result<> WriteTransaction::append(base::BytesView key, MDB_val& stored, unsigned flags) {
  MDB_val at = as_val(key);
  const int rc = mdb_cursor_put(append_.get(), &at, &stored, MDB_APPEND | flags);
  if (rc == MDB_KEYEXIST)
    return base::Error(Errc::kCorrupt, environment_->path() + ": row " + base::hex(key) + " is not above the last row");
  if (rc != 0) return environment_->error(rc, "append");
  return {};
}

// Value and trailer are written where they will stand.
base::Result<> WriteTransaction::append_made(base::BytesView key, RowFormat format, base::BytesView head, base::BytesView bytes) {
  MDB_val room{head.size() + bytes.size() + kTrailerSize, nullptr};
  ETCDPP_TRY(append(key, room, MDB_RESERVE));
  char* out = static_cast<char*>(room.mv_data);
  head.copy(out, head.size());
  bytes.copy(out + head.size(), bytes.size());
  const std::size_t size = head.size() + bytes.size();
  put_trailer(out + size, static_cast<std::uint8_t>(Bucket::kKey), key, {out, size}, format);
  return {};
}

base::Result<> WriteTransaction::append_row(base::BytesView row_key, base::BytesView value, Trailer trailer) {
  const EngineCall call(environment_->path());
  ETCDPP_TRY(open_append());
  if (!in_one_piece(value.size())) {
    char size[kRowSizeBytes];
    put_be32(size, static_cast<std::uint32_t>(value.size()));
    std::size_t at = next_piece(value.size(), true);
    ETCDPP_TRY(append_made(row_key, RowFormat::kHead, {size, sizeof size}, value.substr(0, at)));
    for (std::uint32_t number = 1; at < value.size(); ++number) {
      const std::size_t piece = next_piece(value.size() - at, false);
      ETCDPP_TRY(append_made(part_key(row_key, number), RowFormat::kPart, {}, value.substr(at, piece)));
      at += piece;
    }
  } else if (trailer == Trailer::kBehind) {
    MDB_val stored = as_val({value.data(), value.size() + kTrailerSize});
    ETCDPP_TRY(append(row_key, stored, 0));
  } else {
    ETCDPP_TRY(append_made(row_key, RowFormat::kPlain, {}, value));
  }
  live_bytes_ += live_size(row_key.size(), value.size());
  return {};
}

base::Result<bool> WriteTransaction::erase_stored(base::BytesView key) {
  ETCDPP_TRY(before_->key.around(key));
  MDB_val wanted = as_val(key);
  const int rc = mdb_del(handle(), environment_->key_tree(), &wanted, nullptr);
  if (rc != 0 && rc != MDB_NOTFOUND) return environment_->error(rc, "deletion");
  return rc == 0;
}

base::Result<> WriteTransaction::erase_row(base::BytesView row_key, std::size_t value_size) {
  const EngineCall call(environment_->path());
  append_.reset();
  ETCDPP_ASSIGN(bool there, erase_stored(row_key));
  if (!there) return environment_->error(MDB_NOTFOUND, "deletion");
  // As many parts as there are: a file of format 1 has none.
  for (std::uint32_t number = 1; there && !in_one_piece(value_size); ++number) {
    ETCDPP_ASSIGN(there, erase_stored(part_key(row_key, number)));
  }
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
