#include "deletion_slice.h"

#include "row_format.h"

namespace etcdpp::backend {

DeletionSlice::~DeletionSlice() {
  if (cursor_) mdb_cursor_close(cursor_);
}

base::Result<bool> DeletionSlice::seek(base::BytesView first) {
  if (!cursor_) {
    const Environment& environment = transaction_.environment();
    if (const int rc = mdb_cursor_open(transaction_.handle(), environment.key_tree(), &cursor_); rc != 0)
      return environment.error(rc, "cursor");
  }
  return move(first.empty() ? MDB_FIRST : MDB_SET_RANGE, first);
}

base::Result<bool> DeletionSlice::next() { return move(MDB_NEXT, {}); }

base::Result<bool> DeletionSlice::move(MDB_cursor_op operation, base::BytesView first) {
  if (rows_left_ > 0) --rows_left_;
  MDB_val key = as_val(first);
  MDB_val stored;
  const int rc = mdb_cursor_get(cursor_, &key, &stored, operation);
  if (rc == MDB_NOTFOUND) return false;
  if (rc != 0) return transaction_.environment().error(rc, "scan");
  const auto value = verified(static_cast<std::uint8_t>(Bucket::kKey), as_view(key), as_view(stored), RowFormat::kPlain);
  if (!value)
    return base::Error(Errc::kCorrupt,
                       transaction_.environment().path() + ": checksum of row " + base::hex(as_view(key)) + " in tree key");
  key_ = as_view(key);
  value_ = *value;
  return true;
}

void DeletionSlice::erase() { marked_.push_back({std::string(key_), value_.size()}); }

void DeletionSlice::put(Bucket bucket, base::BytesView key, base::BytesView value) {
  puts_.push_back({bucket, std::string(key), std::string(value)});
}

bool DeletionSlice::exhausted() const {
  // The clock is read for every sixteenth row only.
  return rows_left_ == 0 || (rows_left_ % 16 == 0 && clock_.now() >= until_);
}

base::Result<> DeletionSlice::carry_out() {
  if (cursor_) mdb_cursor_close(std::exchange(cursor_, nullptr));
  for (const Marked& row : marked_) ETCDPP_TRY(transaction_.erase_row(row.key, row.value_size));
  for (const Put& row : puts_) ETCDPP_TRY(transaction_.put(row.bucket, row.key, row.value));
  return {};
}

}  // namespace etcdpp::backend
