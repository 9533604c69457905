#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <etcdpp/base/bytes.h>
#include <etcdpp/mvcc/key_value.h>

#include "key_index.h"

namespace etcdpp::mvcc {

/// What a node knows of everything below it.
struct Summary {
  std::int64_t live_keys = 0;
  std::int64_t live_bytes = 0;         // Σ framed_size(row) over live keys
  std::int64_t births_and_deaths = 0;  // newest revision at which a key came or went
  std::int64_t modified = 0;           // newest revision at all
  std::int64_t history = 0;            // records that are not a live key's newest: what compaction might drop

  static Summary of(const KeyIndex& entry) {
    const RevisionRecord& last = entry.last();
    const bool live = !last.tombstone;
    return {.live_keys = live ? 1 : 0,
            .live_bytes = live ? static_cast<std::int64_t>(framed_size(last.row_bytes)) : 0,
            .births_and_deaths = entry.birth_or_death(),
            .modified = last.main,
            .history = static_cast<std::int64_t>(entry.count) - (live ? 1 : 0)};
  }
  void add(const Summary& more) {
    live_keys += more.live_keys;
    live_bytes += more.live_bytes;
    births_and_deaths = std::max(births_and_deaths, more.births_and_deaths);
    modified = std::max(modified, more.modified);
    history += more.history;
  }
  /// For an entry below that went from `before` to `after`; marks only rise.
  void change(const Summary& before, const Summary& after) {
    live_keys += after.live_keys - before.live_keys;
    live_bytes += after.live_bytes - before.live_bytes;
    births_and_deaths = std::max(births_and_deaths, after.births_and_deaths);
    modified = std::max(modified, after.modified);
    history += after.history - before.history;
  }
};

/// Bytes that both begin with.
std::uint32_t common_prefix(base::BytesView a, base::BytesView b);

struct InnerNode;

/// A node of the tree: a leaf holds keys, an inner node the first key of each child.
///
/// Searching compares eight bytes that stand in the node itself: those behind the prefix that all its keys share
/// (`skip` bytes). Only where they are equal is a key itself looked at, so a search costs about one cache miss a level.
/// The heads are in groups; the first of each also stands in `guide`, which says which group to look at.
struct IndexNode {
  static constexpr unsigned kFanout = 64;
  static constexpr unsigned kGroup = 8;  // as many heads as a line of memory has

  std::uint64_t made_in;
  std::uint32_t skip = 0;
  std::uint16_t count = 0;
  std::uint16_t level = 0;  // 0: leaf
  Summary below;
  std::uint64_t guide[kFanout / kGroup];
  std::uint64_t heads[kFanout];
  KeyIndex* keys[kFanout];

  bool leaf() const { return level == 0; }
  bool full() const { return count == kFanout; }
  inline InnerNode& inner();
  inline const InnerNode& inner() const;

  struct Place {
    unsigned position;  // of the first key ≥ the one sought, count if there is none
    bool exact;
  };
  Place find(base::BytesView key) const;
  /// The same by heads alone, without a look at any key: right if the key shares the prefix of this node's keys, as
  /// every key in it does. So a search for a key that exists may go down by guesses and is right if it arrives at the
  /// key.
  unsigned guess_child(base::BytesView key) const;
  /// The one key that may be `key`, by heads alone; count if there is none or more than one.
  unsigned guess_key(base::BytesView key) const;
  /// The child that holds `key` or the place for it.
  unsigned child_of(base::BytesView key) const {
    const Place place = find(key);
    return place.exact || place.position == 0 ? place.position : place.position - 1;
  }

  /// Puts `key` at `position`, which is then its place; the caller shifts children alike.
  void insert_key(unsigned position, KeyIndex* key);
  /// Replaces the key at `position` by one that sorts there.
  void set_key(unsigned position, KeyIndex* key);
  /// Computes `skip` and all heads from the keys.
  void refresh_heads();
  /// Computes `guide` from the heads, for who has written those.
  void set_guide();
  /// Computes `below` from keys or children.
  void refresh_summary();
  /// Adds copies of `from`'s keys and children at and behind `position` after this node's last.
  void append_from(const IndexNode& from, unsigned position);

  /// Asks for all lines that a search may touch, at once: for who looks for one key and would wait a second time
  /// otherwise.
  void prefetch() const {
    prefetch_guide();
    for (unsigned i = 0; i < kFanout; i += kGroup) __builtin_prefetch(heads + i);
    for (unsigned i = 0; i < kFanout; i += kGroup) __builtin_prefetch(keys + i);
  }
  /// The same in two steps with a few lines each: for who looks for several keys in several nodes, and would want more
  /// lines of memory than a processor fetches at once.
  void prefetch_guide() const {
    __builtin_prefetch(this);
    __builtin_prefetch(guide);
    __builtin_prefetch(guide + kFanout / kGroup - 1);
  }
  inline void prefetch_group(base::BytesView key) const;

  static std::uint64_t head_of(base::BytesView key, std::size_t skip);

 private:
  /// Where the group begins that a search for `head` looks at.
  unsigned group_of(std::uint64_t head) const {
    unsigned groups = 0;
    for (unsigned i = 0; i * kGroup < count; ++i) groups += guide[i] < head;
    return groups == 0 ? 0 : (groups - 1) * kGroup;
  }
  /// Heads below `head`: the position of the first that is not. (Not a binary search: its loads wait for one another.)
  unsigned heads_below(std::uint64_t head) const {
    unsigned below_head = group_of(head);
    const unsigned end = std::min(below_head + kGroup, unsigned{count});
    for (unsigned i = below_head; i < end; ++i) below_head += heads[i] < head;
    return below_head;
  }
};

struct InnerNode : IndexNode {
  IndexNode* children[kFanout];
};

inline InnerNode& IndexNode::inner() {
  return static_cast<InnerNode&>(*this);
}
inline const InnerNode& IndexNode::inner() const {
  return static_cast<const InnerNode&>(*this);
}

inline void IndexNode::prefetch_group(base::BytesView key) const {
  const unsigned begin = group_of(head_of(key, skip));
  const unsigned last = begin + kGroup - 1;
  __builtin_prefetch(heads + begin);
  __builtin_prefetch(heads + last);
  // What the head that is found leads to.
  const void* const first_below = leaf() ? static_cast<const void*>(keys + begin) : inner().children + begin;
  const void* const last_below = leaf() ? static_cast<const void*>(keys + last) : inner().children + last;
  __builtin_prefetch(first_below);
  __builtin_prefetch(last_below);
}

inline std::size_t node_bytes(const IndexNode& node) {
  return node.leaf() ? sizeof(IndexNode) : sizeof(InnerNode);
}

}  // namespace etcdpp::mvcc
