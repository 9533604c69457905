#include <etcdpp/backend/database.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "environment.h"
#include "path_check.h"
#include "row_parts.h"
#include "row_search.h"

namespace etcdpp::backend {

namespace {

constexpr std::uint8_t kKeyByte = static_cast<std::uint8_t>(Bucket::kKey);

// `where` is a part of the row in the map.
base::Error bad_row(const Environment& environment, std::string_view tree, base::BytesView key, const void* where) {
  return base::Error(Errc::kCorrupt,
                     environment.path() + environment.place(where) + ": checksum of row " + base::hex(key) + " in tree " + std::string(tree));
}

}  // namespace

Database::Database(std::unique_ptr<Environment> environment, std::uint64_t generation)
    : environment_(std::move(environment)), generation_(generation) {}
Database::~Database() = default;

const std::string& Database::path() const { return environment_->path(); }

base::Result<ReadTransaction> Database::begin_read() const {
  ETCDPP_ASSIGN(Reader * reader, environment_->acquire());
  return ReadTransaction(environment_.get(), reader);
}

ReadTransaction::ReadTransaction(ReadTransaction&& other) noexcept
    : environment_(other.environment_), reader_(std::exchange(other.reader_, nullptr)), joined_(std::move(other.joined_)) {}

ReadTransaction& ReadTransaction::operator=(ReadTransaction&& other) noexcept {
  std::swap(environment_, other.environment_);
  std::swap(reader_, other.reader_);
  std::swap(joined_, other.joined_);
  return *this;
}

ReadTransaction::~ReadTransaction() {
  if (reader_) environment_->release(reader_);
}

base::Result<std::optional<base::BytesView>> ReadTransaction::get_row(base::BytesView row_key, std::size_t expected_size) const {
  const EngineCall call(environment_->path());
  ETCDPP_ASSIGN(const auto stored, find_row(*environment_, *reader_, row_key, expected_size));
  if (!stored) return std::optional<base::BytesView>();
  return value_of(row_key, *stored);
}

base::Result<> ReadTransaction::get_rows(std::span<RowLookup> lookups) const {
  const EngineCall call(environment_->path());
  ETCDPP_TRY(find_rows(*environment_, *reader_, lookups));
  for (RowLookup& lookup : lookups)
    if (lookup.value) {
      ETCDPP_ASSIGN(lookup.value, value_of(lookup.row_key, *lookup.value));
    }
  return {};
}

// What the tree holds under a row's key, as the row's value.
base::Result<std::optional<base::BytesView>> ReadTransaction::value_of(base::BytesView row_key, base::BytesView stored) const {
  if (format_of(stored) == RowFormat::kHead) [[unlikely]] return join(row_key, stored);
  auto value = verified(kKeyByte, row_key, stored, RowFormat::kPlain);
  if (!value) return bad_row(*environment_, "key", row_key, stored.data());
  return value;
}

base::Result<std::optional<base::BytesView>> ReadTransaction::join(base::BytesView row_key, base::BytesView head) const {
  RowJoin join;
  auto taken = join.take(row_key, head);
  const char* at = head.data();
  for (std::uint32_t number = 1; taken == RowJoin::Taken::kMore; ++number) {
    const base::Bytes key = part_key(row_key, number);
    ETCDPP_ASSIGN(const auto part, find_row(*environment_, *reader_, key));
    if (!part) return lost_parts(environment_->path(), row_key);
    at = part->data();
    taken = join.take(key, *part);
  }
  if (taken == RowJoin::Taken::kWrong) return bad_row(*environment_, "key", row_key, at);
  return std::optional(base::BytesView(joined_.emplace_back(join.take_value())));
}

base::Result<std::optional<base::BytesView>> ReadTransaction::get(Bucket bucket, base::BytesView key) const {
  if (bucket == Bucket::kKey) return get_row(key);
  const EngineCall call(environment_->path());
  const base::Bytes tree_key = small_tree_key(bucket, key);
  ETCDPP_TRY(PathCheck(*environment_, reader_->transaction, "small").to(tree_key));
  MDB_val wanted = as_val(tree_key);
  MDB_val stored;
  const int rc = mdb_get(reader_->transaction, environment_->small_tree(), &wanted, &stored);
  if (rc == MDB_NOTFOUND) return std::optional<base::BytesView>();
  if (rc != 0) return environment_->error(rc, "read");
  const auto row = decode_small_row(tree_key, as_view(stored));
  if (!row) return bad_row(*environment_, "small", tree_key, stored.mv_data);
  return std::optional(row->value);
}

base::Result<> ReadTransaction::scan_rows(base::BytesView first, base::BytesView end, const RowVisitor& visit) const {
  RowCursor cursor(*this);
  auto there = cursor.seek(first);
  while (there && *there && (end.empty() || cursor.key() < end)) {
    ETCDPP_TRY(visit(cursor.key(), cursor.value()));
    there = cursor.next();
  }
  ETCDPP_TRY(there);
  return {};
}

base::Result<> ReadTransaction::scan_bucket(Bucket bucket, const RowVisitor& visit) const {
  if (bucket == Bucket::kKey) return scan_rows({}, {}, visit);
  const EngineCall call(environment_->path());
  MDB_cursor* cursor = nullptr;
  if (const int rc = mdb_cursor_open(reader_->transaction, environment_->small_tree(), &cursor); rc != 0)
    return environment_->error(rc, "cursor");
  const std::unique_ptr<MDB_cursor, decltype(&mdb_cursor_close)> closer(cursor, mdb_cursor_close);

  PathCheck path(*environment_, reader_->transaction, "small");
  // Long keys stand in the order of their digests, so the few there are have to be merged in.
  std::vector<DecodedSmallRow> long_rows;
  auto each_under = [&](char first_byte, auto&& handle) -> base::Result<> {
    const base::BytesView prefix(&first_byte, 1);
    // A leaf that is passed over would leave rows out without a sign.
    ETCDPP_TRY(path.through(prefix, base::Bytes(1, static_cast<char>(first_byte + 1))));
    MDB_val key = as_val(prefix);
    MDB_val stored;
    int rc = mdb_cursor_get(cursor, &key, &stored, MDB_SET_RANGE);
    for (; rc == 0 && as_view(key).starts_with(prefix); rc = mdb_cursor_get(cursor, &key, &stored, MDB_NEXT)) {
      const auto row = decode_small_row(as_view(key), as_view(stored));
      if (!row) return bad_row(*environment_, "small", as_view(key), key.mv_data);
      ETCDPP_TRY(handle(*row));
    }
    if (rc != 0 && rc != MDB_NOTFOUND) return environment_->error(rc, "scan");
    return {};
  };
  const char byte = static_cast<char>(bucket);
  ETCDPP_TRY(each_under(static_cast<char>(byte | '\x80'), [&](const DecodedSmallRow& row) -> base::Result<> {
    long_rows.push_back(row);
    return {};
  }));
  std::sort(long_rows.begin(), long_rows.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  auto next_long = long_rows.begin();
  const auto merged = each_under(byte, [&](const DecodedSmallRow& row) -> base::Result<> {
    for (; next_long != long_rows.end() && next_long->key < row.key; ++next_long)
      ETCDPP_TRY(visit(next_long->key, next_long->value));
    return visit(row.key, row.value);
  });
  ETCDPP_TRY(merged);
  for (; next_long != long_rows.end(); ++next_long) ETCDPP_TRY(visit(next_long->key, next_long->value));
  return {};
}

base::Result<std::uint64_t> ReadTransaction::consistent_index() const {
  ETCDPP_ASSIGN(const auto value, get(Bucket::kMeta, meta_key::kConsistentIndex));
  if (!value) return std::uint64_t{0};
  if (value->size() != 8) return base::Error(Errc::kCorrupt, environment_->path() + ": meta/consistent_index has not 8 bytes");
  return base::get_be64(value->data());
}

RowCursor::RowCursor(const ReadTransaction& transaction, Check check)
    : transaction_(transaction), check_(check), join_(std::make_unique<RowJoin>()) {}

RowCursor::~RowCursor() {
  if (cursor_) mdb_cursor_close(static_cast<MDB_cursor*>(cursor_));
}

base::Result<bool> RowCursor::seek(base::BytesView first) {
  if (!cursor_) {
    MDB_cursor* cursor = nullptr;
    const Environment& environment = *transaction_.environment_;
    if (const int rc = mdb_cursor_open(transaction_.reader_->transaction, environment.key_tree(), &cursor); rc != 0)
      return environment.error(rc, "cursor");
    cursor_ = cursor;
    path_ = std::make_unique<PathCheck>(environment, transaction_.reader_->transaction, "key");
  }
  ETCDPP_TRY(path_->to(first));
  checked_leaf_ = 0;
  join_->give_up();
  ETCDPP_ASSIGN(bool there, to_item(first.empty() ? MDB_FIRST : MDB_SET_RANGE, first));
  // `first` may lie within a row in parts; it is passed over.
  const auto within = [&] {
    const base::BytesView row = row_of_part(item_.key);
    return is_part(item_.value) && first.size() > row.size() && first.starts_with(row);
  };
  while (there && within()) {
    ETCDPP_ASSIGN(there, to_item(MDB_NEXT, {}));
  }
  return join_row(there);
}

base::Result<bool> RowCursor::next() {
  ETCDPP_ASSIGN(const bool there, to_item(MDB_NEXT, {}));
  return join_row(there);
}

base::Result<bool> RowCursor::join_row(bool there) {
  const Environment& environment = *transaction_.environment_;
  for (;;) {
    if (!there) {
      if (!join_->open()) return false;
      join_->give_up();
      return lost_parts(environment.path(), join_->key());
    }
    switch (join_->take(item_.key, item_.value, check_ == Check::kRows)) {
      case RowJoin::Taken::kRow:
        row_ = {join_->key(), join_->value()};
        return true;
      case RowJoin::Taken::kWrong: return bad_row(environment, "key", item_.key, item_.value.data());
      case RowJoin::Taken::kMore: break;
    }
    ETCDPP_ASSIGN(there, to_item(MDB_NEXT, {}));
  }
}

base::Result<bool> RowCursor::to_item(int operation, base::BytesView first) {
  const Environment& environment = *transaction_.environment_;
  const EngineCall call(environment.path());
  MDB_val key = as_val(first);
  MDB_val stored;
  const int rc = mdb_cursor_get(static_cast<MDB_cursor*>(cursor_), &key, &stored, static_cast<MDB_cursor_op>(operation));
  if (rc != 0 && rc != MDB_NOTFOUND) return environment.error(rc, "scan");
  // A leaf that lost nodes, and one that a damaged page passes over, would leave rows out without a sign: each is looked
  // at, and begins where the one before it ends.
  const base::BytesView below = path_->below();
  const auto passed_over = [&] { return base::Error(Errc::kCorrupt, environment.path() + ": rows from " + base::hex(below) + " on are passed over"); };
  if (rc == MDB_NOTFOUND) {
    if (!below.empty()) return passed_over();
    return false;
  }
  if (environment.map().contains(key.mv_data) && environment.map().page_of(key.mv_data) != checked_leaf_) {
    ETCDPP_TRY(path_->to(as_view(key)));
    const bool same_leaf = operation != MDB_NEXT && path_->below() == below;
    if (!same_leaf && path_->from() != below) return passed_over();
    checked_leaf_ = environment.map().page_of(key.mv_data);
  }
  if (operation == MDB_NEXT && as_view(key) <= item_.key)
    return base::Error(Errc::kCorrupt, environment.path() + environment.place(key.mv_data) + ": row " + base::hex(as_view(key)) + " is not above the row before it");
  item_ = {as_view(key), as_view(stored)};
  return true;
}

}  // namespace etcdpp::backend
