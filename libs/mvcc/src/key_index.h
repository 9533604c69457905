#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/mvcc/revision.h>
#include <etcdpp/mvcc/tree_index.h>

namespace etcdpp::mvcc {

/// One change of one key: 16 bytes.
struct RevisionRecord {
  std::int64_t main;
  std::uint32_t sub;
  std::uint32_t row_bytes : 31;
  std::uint32_t tombstone : 1;

  Revision revision() const { return {main, sub}; }
};
static_assert(sizeof(RevisionRecord) == 16);

/// The changes of a key that has more than one. Later versions of the key append behind what earlier ones see, so
/// they share one list until it is full.
struct RevisionList {
  std::uint64_t made_in;
  std::uint32_t capacity;
  RevisionRecord records[];

  static std::size_t bytes(std::uint32_t capacity) { return sizeof(RevisionList) + capacity * sizeof(RevisionRecord); }
};

/// A key with its generations, as one ascending run of records: a tombstone ends a generation, the next record begins
/// the next one. What compaction dropped from the first generation is remembered as its creation and version.
///
/// The key's bytes follow the struct. 48 bytes over its key while there is one record.
struct KeyIndex {
  std::uint64_t made_in;
  std::int64_t first_created;  // creation of the generation of record 0
  std::int64_t first_version;  // version of record 0
  std::uint32_t key_size;
  std::uint32_t count;
  struct Many {
    RevisionList* list;
    std::uint32_t last_generation;  // first record of the generation that holds the last record
  };
  union {
    RevisionRecord one;  // count == 1
    Many many;           // count > 1
  };

  static std::size_t bytes(std::size_t key_size) { return sizeof(KeyIndex) + key_size; }
  base::BytesView key() const { return {reinterpret_cast<const char*>(this + 1), key_size}; }
  const RevisionRecord* records() const { return count == 1 ? &one : many.list->records; }
  const RevisionRecord& last() const { return records()[count - 1]; }
  std::uint32_t last_generation() const { return count == 1 ? 0 : many.last_generation; }
  bool live() const { return !last().tombstone; }

  /// First record of the generation that record `at` belongs to.
  std::uint32_t generation_of(std::uint32_t at) const;
  std::int64_t created(std::uint32_t at) const;
  std::int64_t version(std::uint32_t at) const;
  /// Records with main ≤ `main`.
  std::uint32_t up_to(std::int64_t main) const;

  KeyState state(std::uint32_t at) const;
  /// The key after main revision `main`.
  std::optional<KeyState> get(std::int64_t main) const;
  /// The newest revision at which the key came or went.
  std::int64_t birth_or_death() const;

  /// What compaction at `main` does to the key: records from `first` on stay (none: first == count), and `kept` says
  /// whether record `first` is the newest ≤ `main`, which makes it a member of the keep set.
  struct Cut {
    std::uint32_t first;
    bool kept;
  };
  Cut cut(std::int64_t main) const;
};
static_assert(sizeof(KeyIndex) == 48);

}  // namespace etcdpp::mvcc
