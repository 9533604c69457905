#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <etcdpp/backend/bucket.h>
#include <etcdpp/base/bytes.h>

namespace etcdpp::backend {

/// A row of bucket `key`: revision bytes and what is stored under them. Borrowed from a buffer or a transaction.
struct Row {
  base::BytesView key;
  base::BytesView value;
};

/// The changes of some consecutive entries, on their way into one transaction of the database (etcd's bucketBuffer).
///
/// Apply fills the active buffer: rows of bucket `key` appended in ascending order, operations on the nine small
/// buckets (last wins), and the index, term and conf state of the entries themselves. It is frozen between entries only.
///
/// Threads: one writer (apply). Rows never move, so other threads read rows [0, n) of a buffer that is still being
/// filled, if n reached them through a release by the writer (the View that carries n). Everything else is read by the
/// commit loop only, after the freeze.
/// Ownership: rows borrowed from a buffer live as long as the buffer.
class WriteBuffer {
 public:
  WriteBuffer();
  WriteBuffer(const WriteBuffer&) = delete;
  WriteBuffer& operator=(const WriteBuffer&) = delete;
  ~WriteBuffer();

  /// Appends a row of bucket `key`; `key` (1 to 255 bytes) is above every row appended before, in this buffer and
  /// those before it. Copies both, and computes the checksum of what will be one piece (row_parts.h).
  void append_row(base::BytesView key, base::BytesView value);

  /// The same in two steps, for a value that is encoded in place: room for `value_size` bytes, to be filled before
  /// end_row(). The row counts from end_row() on.
  char* begin_row(base::BytesView key, std::size_t value_size);
  void end_row();

  /// Operations on the small buckets (all but `key`). meta's consistent_index, term and confState are set below.
  void put(Bucket bucket, base::BytesView key, base::BytesView value);
  void erase(Bucket bucket, base::BytesView key);

  /// The entry that this buffer now ends with. Set by apply itself for every entry, with or without rows: an entry's
  /// changes and its index go to disk in one commit. Never backwards, never 0; a term of 0 leaves the stored one.
  void set_applied(std::uint64_t index, std::uint64_t term);
  /// The raft configuration after that entry, as etcd's JSON.
  void set_conf_state(base::BytesView json);

  /// Rows so far. A reader in another thread uses the number in its View instead.
  std::size_t rows() const { return rows_; }
  Row row(std::size_t at) const;
  /// The row with exactly this key among the first `rows`.
  std::optional<base::BytesView> find(base::BytesView key, std::size_t rows) const;
  /// Position of the first row with key ≥ `key` among the first `rows`, or `rows`.
  std::size_t lower_bound(base::BytesView key, std::size_t rows) const;

  /// Rows and small operations (what the batch limit counts), and the bytes they hold.
  std::size_t records() const { return rows_ + small_operations_; }
  std::size_t bytes() const { return bytes_; }
  /// Nothing to commit, not even an index.
  bool empty() const { return records() == 0 && applied_index_ == 0 && !conf_state_; }

  /// Σ (key + value + 16) over the rows and puts: what the quota will grow by, at most.
  std::uint64_t live_bytes() const { return live_bytes_; }
  std::uint64_t applied_index() const { return applied_index_; }
  std::uint64_t applied_term() const { return applied_term_; }
  const std::optional<base::Bytes>& conf_state() const { return conf_state_; }

  /// A small bucket's last operation per key, in order of bucket and key; no value means erased.
  struct SmallKey {
    Bucket bucket;
    base::Bytes key;
    auto operator<=>(const SmallKey&) const = default;
  };
  using SmallOperations = std::map<SmallKey, std::optional<base::Bytes>>;
  const SmallOperations& small_operations() const { return small_; }

 private:
  struct RowPlace {
    const char* data;  // key, value and room for a trailer, one after the other
    std::uint32_t key_size;
    std::uint32_t value_size;
  };

  char* allocate(std::size_t size);
  const RowPlace& place(std::size_t at) const;

  // Row places in segments of 256, 512, 1024… rows, each allocated once: a place never moves.
  static constexpr std::size_t kFirstSegmentBits = 8;
  static constexpr std::size_t kSegments = 32;
  std::array<std::unique_ptr<RowPlace[]>, kSegments> segments_;
  std::size_t rows_ = 0;
  RowPlace open_row_{};

  std::vector<std::unique_ptr<char[]>> chunks_;
  char* chunk_at_ = nullptr;
  std::size_t chunk_left_ = 0;

  SmallOperations small_;
  std::size_t small_operations_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t live_bytes_ = 0;
  std::uint64_t applied_index_ = 0;
  std::uint64_t applied_term_ = 0;
  std::optional<base::Bytes> conf_state_;
};

}  // namespace etcdpp::backend
