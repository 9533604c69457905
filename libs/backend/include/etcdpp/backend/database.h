#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <etcdpp/backend/bucket.h>
#include <etcdpp/backend/write_buffer.h>
#include <etcdpp/base/result.h>

namespace etcdpp::backend {

class Environment;
class PathCheck;
class ReadTransaction;
class RowJoin;
struct Reader;

/// What a scan hands its rows to; an error ends the scan and is its result.
using RowVisitor = std::function<base::Result<>(base::BytesView key, base::BytesView value)>;

/// One generation of the database: one open file, shared by everyone who still reads it.
///
/// A View holds the generation that it was made on (BufferSet), so that a file that has been replaced by a
/// defragmented or received one lives until its last reader has gone.
/// Threads: any. Ownership: outlives its read transactions.
class Database {
 public:
  explicit Database(std::unique_ptr<Environment> environment, std::uint64_t generation);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  std::uint64_t generation() const { return generation_; }
  const std::string& path() const;

  /// A snapshot of what has been committed when this returns, from a pool of renewed ones (no allocation, no system
  /// call). Order: the View first, then this (DESIGN: rows found nowhere otherwise).
  /// Errors: kTooManyReaders.
  base::Result<ReadTransaction> begin_read() const;

  /// The engine, for the sources of this library only.
  Environment& environment() const { return *environment_; }

 private:
  std::unique_ptr<Environment> environment_;
  std::uint64_t generation_;
};

/// One row of several that are looked up side by side.
struct RowLookup {
  base::BytesView row_key;
  std::size_t expected_size = 0;         ///< How long the value will be; 0: not known.
  std::optional<base::BytesView> value;  ///< The answer.
};

/// A snapshot of the committed rows of all buckets.
///
/// Threads: one at a time, not necessarily the one that began it. Ownership: views into it (keys, values) live until
/// it ends. It pins the pages that it sees: it lives for a slice of work (1 ms), never across a wait.
/// Memory: large rows stand in parts, and those that get_row() has put together are kept until the end, or forget_joined().
/// Errors: kCorrupt names file, bucket and row when a checksum is wrong; nothing is handed out then, and the owner of
/// the member stops it.
class ReadTransaction {
 public:
  ReadTransaction(ReadTransaction&& other) noexcept;
  ReadTransaction& operator=(ReadTransaction&& other) noexcept;
  ~ReadTransaction();

  /// The value of a row of bucket `key`, straight from the map if it stands in one piece. Who knows how long it is says so:
  /// it is found sooner.
  base::Result<std::optional<base::BytesView>> get_row(base::BytesView row_key, std::size_t expected_size = 0) const;
  /// The same of several rows at once, which costs less than one after the other (they wait for memory together).
  base::Result<> get_rows(std::span<RowLookup> lookups) const;
  /// For who reads many rows and keeps none: the values that get_row() has handed out so far are gone.
  void forget_joined() const { joined_.clear(); }
  /// A row of any bucket.
  base::Result<std::optional<base::BytesView>> get(Bucket bucket, base::BytesView key) const;

  /// Rows of bucket `key` with first ≤ key < end in order; an empty `end` means to the last.
  base::Result<> scan_rows(base::BytesView first, base::BytesView end, const RowVisitor& visit) const;
  /// All rows of a bucket in order of their keys.
  base::Result<> scan_bucket(Bucket bucket, const RowVisitor& visit) const;

  /// meta/consistent_index as this snapshot has it (0: none yet).
  base::Result<std::uint64_t> consistent_index() const;

 private:
  friend class Database;
  friend class RowCursor;
  ReadTransaction(const Environment* environment, Reader* reader) : environment_(environment), reader_(reader) {}

  base::Result<std::optional<base::BytesView>> value_of(base::BytesView row_key, base::BytesView stored) const;
  base::Result<std::optional<base::BytesView>> join(base::BytesView row_key, base::BytesView head) const;

  const Environment* environment_;
  Reader* reader_;
  mutable std::vector<base::Bytes> joined_;
};

/// A place among the rows of bucket `key` of a read transaction, moving forward.
///
/// `for (auto there = cursor.seek(first); …; there = cursor.next())`: each says whether there is a row, and verifies it.
/// Ownership: ends before its transaction; key() and value() live until it moves.
class RowCursor {
 public:
  /// kPlaces leaves the rows' checksums alone, for who wants nothing but their sizes and reads them again.
  enum class Check { kRows, kPlaces };
  explicit RowCursor(const ReadTransaction& transaction, Check check = Check::kRows);
  RowCursor(const RowCursor&) = delete;
  RowCursor& operator=(const RowCursor&) = delete;
  ~RowCursor();

  /// To the first row with key ≥ `first`.
  base::Result<bool> seek(base::BytesView first);
  base::Result<bool> next();
  base::BytesView key() const { return row_.key; }
  base::BytesView value() const { return row_.value; }

 private:
  base::Result<bool> to_item(int operation, base::BytesView first);
  base::Result<bool> join_row(bool there);

  const ReadTransaction& transaction_;
  const Check check_;
  void* cursor_ = nullptr;
  std::unique_ptr<PathCheck> path_;
  std::uint64_t checked_leaf_ = 0;
  Row item_;  // key and stored bytes where the engine's cursor is
  std::unique_ptr<RowJoin> join_;
  Row row_;
};

}  // namespace etcdpp::backend
