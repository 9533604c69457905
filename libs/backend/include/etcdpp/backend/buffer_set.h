#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>

#include <etcdpp/backend/database.h>
#include <etcdpp/backend/write_buffer.h>

namespace etcdpp::backend {

/// Frozen buffers that may wait for their commit; then apply waits.
inline constexpr std::size_t kMaxFrozenBuffers = 2;

/// Where the rows of a View are: buffers that are not known to be committed, and the database for everything else.
///
/// Every row that existed when the set was taken is in a buffer of the set, or in any read transaction of its database
/// that is begun later, or in both (a buffer leaves the set only after its commit returned). Rows never change, so it
/// does not matter which is asked; compaction's deletions are checked by the reader against the compact revision.
/// Threads: any, once published by its maker's release; immutable. Holding it keeps buffers and database alive.
struct BufferSet {
  std::shared_ptr<const Database> database;
  /// Oldest first; null after the last.
  std::array<std::shared_ptr<const WriteBuffer>, kMaxFrozenBuffers> frozen;
  std::shared_ptr<const WriteBuffer> active;
  std::size_t active_rows = 0;

  /// The value of a buffered row; none: ask the database.
  std::optional<base::BytesView> find(base::BytesView row_key) const;
};

/// All rows of a View in order: the database's up to the first buffered one, then the buffers'.
///
/// Threads, ownership, errors: as RowCursor; set and transaction outlive it, the transaction was begun after the set
/// was taken.
class RowScan {
 public:
  RowScan(const BufferSet& set, const ReadTransaction& transaction);

  /// To the first row with key ≥ `first`.
  base::Result<bool> seek(base::BytesView first);
  base::Result<bool> next();
  base::BytesView key() const { return row_.key; }
  base::BytesView value() const { return row_.value; }

 private:
  bool settle_in_buffers();

  struct Part {
    const WriteBuffer* buffer;
    std::size_t rows;
  };

  RowCursor cursor_;
  std::array<Part, kMaxFrozenBuffers + 1> parts_{};
  std::size_t part_count_ = 0;
  base::BytesView first_buffered_;  // empty: no row is buffered
  bool in_database_ = false;
  std::size_t part_ = 0;
  std::size_t at_ = 0;
  Row row_;
};

}  // namespace etcdpp::backend
