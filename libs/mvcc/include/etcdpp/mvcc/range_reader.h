#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <etcdpp/backend/database.h>
#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>
#include <etcdpp/mvcc/errc.h>
#include <etcdpp/mvcc/key_range.h>
#include <etcdpp/mvcc/tree_index.h>
#include <etcdpp/mvcc/view.h>

namespace etcdpp::mvcc {

/// What of a range is wanted.
struct RangeOptions {
  std::int64_t revision = 0;  ///< ≤ 0: the current one.
  std::int64_t limit = 0;     ///< ≤ 0: all. Rows handed out; counting goes on.
  bool keys_only = false;     ///< From the index alone: rows carry no bytes.
  bool count_only = false;    ///< No rows.
  bool counted = true;        ///< Whether `count` and `more` are wanted.
};

/// One key of an answer.
struct RangeRow {
  KeyState state;
  base::BytesView key_value;  ///< Encoded mvccpb.KeyValue; empty with keys_only.
};

/// One key that is read beside others.
struct KeyRead {
  base::BytesView key;
  std::int64_t revision = 0;  ///< As in RangeOptions.
  /// The answer: encoded mvccpb.KeyValue, none if the key did not exist then.
  base::Result<std::optional<base::BytesView>> key_value = std::optional<base::BytesView>();
};

struct RangeAnswer {
  std::int64_t current_revision = 0;  ///< The header's: of the View, also for a historic read.
  std::int64_t revision = 0;          ///< At which was read.
  std::int64_t count = 0;             ///< Keys in the range at that revision, whatever the limit.
  bool more = false;                  ///< The limit cut the answer.
};

/// One slice of reading: a View and a database snapshot that is younger, which together hold every row.
///
/// A small Range takes one, answers, and lets it go; so do several small ones that came together. Large answers go
/// through RangeCursor, one RangeReader per slice.
///
/// Threads: one. Ownership: everything handed out borrows from it (or, inside a WriteTxn, lives until its next change).
/// Errors: kCompacted, kFutureRevision; kRowMissing and the backend's kCorrupt stop the member.
class RangeReader {
 public:
  /// In the order that makes it whole: the View, then the snapshot, then the compact revision once more; a View that a
  /// compaction has overtaken meanwhile is replaced by a newer one.
  static base::Result<RangeReader> open(const Views& views);

  const View& view() const { return *view_; }

  /// The revision that a request for `requested` is answered at, or why it is not.
  base::Result<std::int64_t> resolve(std::int64_t requested) const;

  /// Rows of `range` in key order, appended to `rows`.
  base::Result<RangeAnswer> range(const KeyRange& range, const RangeOptions& options,
                                  std::vector<RangeRow>& rows) const;

  /// Encoded KeyValue of one key at `at`, none if it did not exist then.
  base::Result<std::optional<base::BytesView>> get(base::BytesView key, std::int64_t at) const;
  /// Rows that get() of several keys hands out together: large ones are copies, held until the reader ends.
  static constexpr std::size_t kBytesSideBySide = 1u << 20;
  /// The same of several keys at once, which costs less than one after the other (they wait for memory together): of the
  /// first kKeysSideBySide of them, fewer if their rows would be more than kBytesSideBySide, one at least. Says how many.
  std::size_t get(std::span<KeyRead> reads) const;
  /// The bytes of a row that the index knows, with their length if that is at hand.
  base::Result<base::BytesView> row(Revision revision, std::size_t expected_size = 0) const;
  /// The snapshot, for walks over rows instead of keys.
  const backend::ReadTransaction& transaction() const { return transaction_; }

 private:
  friend class Store;
  friend class RangeCursor;
  base::Error lost(Revision revision) const;
  RangeReader(ViewRef held, backend::ReadTransaction transaction, std::int64_t compact_revision)
      : held_(std::move(held)),
        view_(&*held_),
        transaction_(std::move(transaction)),
        compact_revision_(compact_revision) {}
  RangeReader(std::unique_ptr<const View> unpublished, backend::ReadTransaction transaction)
      : unpublished_(std::move(unpublished)),
        view_(unpublished_.get()),
        transaction_(std::move(transaction)),
        compact_revision_(view_->compact_revision) {}

  ViewRef held_;
  std::unique_ptr<const View> unpublished_;  // apply's own reads
  const View* view_;                         // one of the two
  backend::ReadTransaction transaction_;
  std::int64_t compact_revision_;
};

/// A large answer in slices under flow control: pinned at one revision, its length known before its first row.
///
/// The order: start() with a fresh RangeReader, then measure() until true if total_bytes() is wanted, then next() with
/// a RangeReader per slice until done(). Between slices nothing is held but the pin, and the cursor may be moved.
/// Threads: one at a time. Errors: as RangeReader; once started no compaction takes its revision away.
class RangeCursor {
 public:
  /// `keep` false (RangeStream): no pin, a compaction meanwhile makes the next slice fail with kCompacted.
  enum class Hold { kPin, kNone };
  RangeCursor(const KeyRange& range, const RangeOptions& options, Hold hold);

  /// Fixes revision and count. May replace `reader`'s View by a newer one.
  base::Result<RangeAnswer> start(const Views& views, RangeReader& reader);
  /// Adds up the rows' lengths, at most `budget` keys' at a time; true when the total is known. At once for an
  /// unlimited answer at the current revision.
  base::Result<bool> measure(const RangeReader& reader, std::size_t budget);
  /// Σ framed_size(row) over the answer.
  std::int64_t total_bytes() const { return total_.framed_bytes; }

  /// Appends the next rows, until `max_rows` or (after at least one) `max_bytes` of them.
  base::Result<> next(const RangeReader& reader, std::size_t max_rows, std::size_t max_bytes,
                      std::vector<RangeRow>& rows);
  bool done() const { return left_ == 0; }
  std::int64_t rows_left() const { return left_; }
  const RangeAnswer& answer() const { return answer_; }

 private:
  base::Result<> check(const RangeReader& reader) const;
  KeyRange range() const;
  KeyRange rest(const base::Bytes& from) const;

  base::Bytes begin_;
  base::Bytes end_;
  bool single_;
  bool has_end_;
  RangeOptions options_;
  Hold hold_;
  Pin pin_;
  RangeAnswer answer_;
  std::int64_t left_ = 0;
  base::Bytes next_key_;
  base::Bytes measured_key_;
  std::int64_t to_measure_ = 0;
  RangeSize total_;
};

}  // namespace etcdpp::mvcc
