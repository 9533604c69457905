#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/mvcc/key_range.h>
#include <etcdpp/mvcc/revision.h>

namespace etcdpp::mvcc {

struct KeyIndex;
struct IndexNode;
class IndexMemory;

/// A key as it was at some revision, out of the index alone.
struct KeyState {
  base::BytesView key;               ///< Borrowed from the index: valid as long as the root that it came from.
  Revision modified;                 ///< Identity of its row.
  std::int64_t create_revision = 0;  ///< Main revision of the put that began this generation.
  std::int64_t version = 0;          ///< Puts since then.
  std::uint32_t row_bytes = 0;       ///< Length of its row's KeyValue bytes.
};

/// How many keys a range holds and how long their rows are as elements of RangeResponse.kvs.
struct RangeSize {
  std::int64_t keys = 0;
  std::int64_t framed_bytes = 0;
};

/// One life of a key, from the put that created it to its tombstone; for dumps and tests.
struct Generation {
  std::int64_t created = 0;         ///< Main revision of the creating put (0 if a restore never saw it).
  std::int64_t version = 0;         ///< Puts and tombstones counted, as etcd's keyIndex counts them.
  std::vector<Revision> revisions;  ///< Those that compaction has left.
  friend bool operator==(const Generation&, const Generation&) = default;
};

/// One key of several that are looked up side by side.
struct KeyLookup {
  base::BytesView key;
  std::int64_t at = 0;             ///< Main revision.
  std::optional<KeyState> state;   ///< The answer: none if it did not exist then.
};
/// So many at a time: more would want more lines of memory than a processor fetches at once.
inline constexpr std::size_t kKeysSideBySide = 32;

/// A published state of the key index: never changes.
///
/// Threads: any, while the View that carries it is held. Every answer that says `at` is about the state after main
/// revision `at`; asking below the last compaction of the index gives what compaction has left.
class IndexRoot {
 public:
  IndexRoot() = default;

  /// The key at `at`, none if it did not exist then. O(log n).
  std::optional<KeyState> get(base::BytesView key, std::int64_t at) const;
  /// The same of several keys at once, which costs less than one after the other (they wait for memory together).
  void get(std::span<KeyLookup> lookups) const;

  /// Keys of `range` that existed at `at`. O(log n + subtrees in which a key was created or deleted after `at`).
  std::int64_t count(const KeyRange& range, std::int64_t at) const;

  /// The same with the length of their rows. O(log n + subtrees in which a key was modified after `at`).
  RangeSize size(const KeyRange& range, std::int64_t at) const;

  /// Whether compaction at `at` would keep (or has kept) row `revision` of `key`; a tombstone at exactly `at` counts as
  /// kept by compaction, and not for HashKV.
  enum class Tombstones { kKeep, kLeaveOut };
  bool keeps(base::BytesView key, Revision revision, std::int64_t at, Tombstones tombstones) const;
  /// Whether any key has a row that keeps() would keep.
  bool keeps_any(std::int64_t at, Tombstones tombstones) const;

  /// All generations of a key as etcd's keyIndex holds them, the last one empty if the key is deleted; none if unknown.
  std::vector<Generation> generations(base::BytesView key) const;
  /// The revisions (puts and tombstones) of a key with main ≥ `since`, oldest first.
  std::vector<RowKey> revisions(base::BytesView key, std::int64_t since) const;

  /// Keys known, dead ones included, by walking all of them: for dumps and tests.
  std::int64_t entries() const;

 private:
  friend class TreeIndex;
  friend class IndexCursor;
  explicit IndexRoot(const IndexNode* node) : node_(node) {}
  const IndexNode* node_ = nullptr;
};

/// A walk over the keys of a range that existed at one revision, in key order.
///
/// Ownership: borrows the root's View and the range's bytes. To go on under a later View, begin again at the last key
/// followed by a zero byte.
class IndexCursor {
 public:
  IndexCursor(const IndexRoot& root, const KeyRange& range, std::int64_t at);
  /// Fills `out` with the next key; false at the end.
  bool next(KeyState& out);
  /// Keys looked at so far, dead and unborn ones too: what a slice of work is measured by.
  std::size_t visited() const { return visited_; }

 private:
  friend class IndexRoot;
  const KeyIndex* next_entry();
  void descend(const IndexNode* node);

  static constexpr std::size_t kMaxDepth = 16;
  struct Step {
    const IndexNode* node;
    unsigned position;
  };
  KeyRange range_;
  std::int64_t at_;
  bool all_entries_ = false;
  std::size_t depth_ = 0;
  std::size_t visited_ = 0;
  std::array<Step, kMaxDepth> path_;
};

/// Every key with its generations: a copy-on-write ordered tree, changed by one thread, read by all through roots.
///
/// The apply loop changes it through WriteTxn; publish() closes the batch and hands out the root for a View.
///
/// Threads: one, the apply loop's; roots may be read anywhere. Pure: no clock, lock or I/O.
/// Ownership: nodes made since the last publish() are changed in place, older ones are copied, and what a copy replaces
/// becomes garbage, which the caller gives back (reclaim) when no View up to the superseded one is held any more.
/// Inner nodes carry live keys, live bytes, the newest creation or deletion below, the newest modification below, and
/// the number of rows that compaction might drop. Marks may be too high after compaction: that costs time, never truth.
/// etcd: its treeIndex/keyIndex; rules of generations and compaction are the same (docs/formats/key_space.md).
class TreeIndex {
 public:
  /// Memory that superseded roots may still refer to.
  class Garbage {
   public:
    bool empty() const { return pieces_.empty(); }

   private:
    friend class TreeIndex;
    struct Piece {
      void* memory;
      std::size_t bytes;
    };
    std::vector<Piece> pieces_;
  };

  /// Where a key stands or would stand; valid until the next change.
  class Slot {
   public:
    /// The key now, none if it does not exist.
    std::optional<KeyState> live() const;

   private:
    friend class TreeIndex;
    struct Step {
      IndexNode* node;
      unsigned position;
    };
    static constexpr std::size_t kMaxDepth = 16;
    std::array<Step, kMaxDepth> path_;
    std::size_t depth_ = 0;
    KeyIndex* entry_ = nullptr;
  };

  TreeIndex();
  TreeIndex(TreeIndex&&) noexcept;
  TreeIndex& operator=(TreeIndex&&) noexcept;
  /// No root may be in use any more.
  ~TreeIndex();

  /// The tree as it is now, batch included: for the changing thread only.
  IndexRoot current() const;

  /// Finds the place of `key`.
  Slot find(base::BytesView key) const;
  /// Records a put at `revision`, which must be newer than the key's last. `slot` is used up.
  void put(Slot& slot, base::BytesView key, Revision revision, std::uint32_t row_bytes);
  void put(base::BytesView key, Revision revision, std::uint32_t row_bytes) {
    Slot slot = find(key);
    put(slot, key, revision, row_bytes);
  }
  /// Ends the key's generation; false if the key does not exist. `slot` is used up.
  bool tombstone(Slot& slot, Revision revision, std::uint32_t row_bytes);
  bool tombstone(base::BytesView key, Revision revision, std::uint32_t row_bytes) {
    Slot slot = find(key);
    return tombstone(slot, revision, row_bytes);
  }

  /// A row met while the index is rebuilt.
  struct RestoredRow {
    Revision revision;
    std::int64_t create_revision = 0;
    std::int64_t version = 0;
    std::uint32_t row_bytes = 0;
    bool tombstone = false;
  };
  /// Its key, and which of the rows it is.
  struct RestoredKey {
    const char* key;
    std::uint32_t key_size;
    std::uint32_t row;
    base::BytesView view() const { return {key, key_size}; }
  };
  /// Rows of a database, sorted by key, those of one key by revision; newer than what the index has of the key. An
  /// unknown key begins with what its first row says; a tombstone of an unknown key begins a generation of unknown
  /// creation, that of a dead one is passed over, as etcd does. Each node is rebuilt once a call, not once a key.
  void restore(std::span<const RestoredKey> keys, const RestoredRow* rows);
  void restore(base::BytesView key, const RestoredRow& row) {
    const RestoredKey one{key.data(), static_cast<std::uint32_t>(key.size()), 0};
    restore({&one, 1}, &row);
  }

  /// Compacts keys from `resume` on to `revision`, until about `budget` keys with history have been looked at. True
  /// when all are done; else `resume` is where to go on. A key between two calls may be changed by puts and tombstones
  /// newer than `revision`.
  bool compact(std::int64_t revision, base::Bytes& resume, std::size_t budget);

  /// Closes the batch: from here on `root` never changes. `garbage` is what only older roots refer to.
  struct Published {
    IndexRoot root;
    Garbage garbage;
  };
  Published publish();
  /// Gives memory back; no root older than the publish() that handed it out is in use.
  void reclaim(Garbage garbage);

  /// Bytes taken from the system for nodes and keys.
  std::size_t memory_bytes() const;

 private:
  KeyIndex* make_entry(base::BytesView key);
  KeyIndex* writable(KeyIndex* entry);
  IndexNode* writable(IndexNode* node);
  void open_path(Slot& slot);
  void append(KeyIndex* entry, Revision revision, std::uint32_t row_bytes, bool tombstone);
  void insert(Slot& slot, KeyIndex* entry);
  void replace(Slot& slot, KeyIndex* entry);
  class Merge;
  KeyIndex* compacted(KeyIndex* entry, std::int64_t revision);
  struct Compaction;
  IndexNode* compact_node(IndexNode* node, Compaction& pass, bool bounded, bool& changed);
  IndexNode* compact_leaf(IndexNode* node, Compaction& pass, bool bounded, bool& changed);
  void retire(void* memory, std::size_t bytes, std::uint64_t made_in);
  void free_tree(IndexNode* node);

  std::unique_ptr<IndexMemory> memory_;
  IndexNode* root_ = nullptr;
  std::uint64_t batch_ = 1;
  Garbage garbage_;
};

}  // namespace etcdpp::mvcc
