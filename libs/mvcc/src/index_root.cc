#include <etcdpp/mvcc/tree_index.h>

#include <algorithm>
#include <array>

#include <etcdpp/base/assert.h>

#include "index_node.h"
#include "key_index.h"

namespace etcdpp::mvcc {
namespace {

// Where comparing keys leads.
const KeyIndex* find_by_keys(const IndexNode* root, base::BytesView key) {
  const IndexNode* node = root;
  while (!node->leaf()) node = node->inner().children[node->child_of(key)];
  const auto place = node->find(key);
  return place.exact ? node->keys[place.position] : nullptr;
}

const KeyIndex* find_entry(const IndexNode* root, base::BytesView key) {
  if (!root) return nullptr;
  const IndexNode* node = root;
  while (!node->leaf()) {
    node = node->inner().children[node->guess_child(key)];
    node->prefetch();
  }
  if (const unsigned at = node->guess_key(key); at < node->count && node->keys[at]->key() == key) return node->keys[at];
  return find_by_keys(root, key);
}

// The same of up to kKeysSideBySide keys, all a level at a time: while one waits for its node, the others' are on their way
// too.
void find_entries(const IndexNode* root, std::span<const KeyLookup> lookups, const KeyIndex** found) {
  std::array<const IndexNode*, kKeysSideBySide> nodes;
  const std::size_t n = lookups.size();
  for (std::size_t i = 0; i < n; ++i) nodes[i] = root;
  for (unsigned level = root->level; level > 0; --level) {
    for (std::size_t i = 0; i < n; ++i) nodes[i] = nodes[i]->inner().children[nodes[i]->guess_child(lookups[i].key)];
    for (std::size_t i = 0; i < n; ++i) nodes[i]->prefetch_guide();
    for (std::size_t i = 0; i < n; ++i) nodes[i]->prefetch_group(lookups[i].key);
  }
  for (std::size_t i = 0; i < n; ++i) {
    const unsigned at = nodes[i]->guess_key(lookups[i].key);
    found[i] = at < nodes[i]->count ? nodes[i]->keys[at] : nullptr;
  }
  for (std::size_t i = 0; i < n; ++i) {
    __builtin_prefetch(found[i]);
    __builtin_prefetch(reinterpret_cast<const char*>(found[i]) + 63);
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (!found[i] || found[i]->key() != lookups[i].key) found[i] = find_by_keys(root, lookups[i].key);
    if (found[i] && found[i]->count > 1) __builtin_prefetch(&found[i]->last());
  }
}

/// Sums over [begin, end) taking whole subtrees where `known(summary)`, looking at single keys elsewhere.
///
/// `take_subtree(summary, sign)`: +1 adds it, -1 takes it off what was added of a node above it. `take_keys(leaf, first, last)`.
template <typename Known, typename TakeSubtree, typename TakeKeys>
class RangeSum {
 public:
  RangeSum(const KeyRange& range, Known known, TakeSubtree take_subtree, TakeKeys take_keys)
      : range_(range), known_(known), take_subtree_(take_subtree), take_keys_(take_keys) {}

  /// `from` and `to`: whether the range begins or ends inside what `node` covers.
  void add(const IndexNode& node, bool from, bool to) {
    const bool known = known_(node.below);
    if (!from && !to && known) {
      take_subtree_(node.below, +1);
      return;
    }
    unsigned first = 0;
    unsigned last = node.count;  // exclusive
    if (node.leaf()) {
      if (from) first = node.find(range_.begin()).position;
      if (to) last = node.find(range_.end()).position;
      if (first < last) take_keys_(node, first, last);
      return;
    }
    if (from) first = node.child_of(range_.begin());
    if (to) {
      // The child in which the end lies, unless the end is its first key.
      const auto place = node.find(range_.end());
      last = place.position;
    }
    IndexNode* const* children = node.inner().children;
    // Of a node that is known its children outside of the range may be fewer.
    if (known && first < last && last - first > (node.count + 1u) / 2 + 1) {
      take_subtree_(node.below, +1);
      take_off(children, 0, first);
      take_off(children, last, node.count);
      if (from) replace(*children[first], from, to && first + 1 == last);
      if (to && !(from && first + 1 == last)) replace(*children[last - 1], false, to);
      return;
    }
    for (unsigned i = first; i < last; ++i) {
      if (i + 1 < last) __builtin_prefetch(children[i + 1]);
      add(*children[i], from && i == first, to && i + 1 == last);
    }
  }

 private:
  void take_off(IndexNode* const* children, unsigned first, unsigned last) {
    for (unsigned i = first; i < last; ++i) {
      if (i + 1 < last) __builtin_prefetch(children[i + 1]);
      take_subtree_(children[i]->below, -1);
    }
  }
  void replace(const IndexNode& child, bool from, bool to) {
    take_subtree_(child.below, -1);
    add(child, from, to);
  }

  const KeyRange& range_;
  Known known_;
  TakeSubtree take_subtree_;
  TakeKeys take_keys_;
};

bool empty_interval(const KeyRange& range) {
  return range.has_end() && range.end() <= range.begin();
}

}  // namespace

std::optional<KeyState> IndexRoot::get(base::BytesView key, std::int64_t at) const {
  const KeyIndex* entry = find_entry(node_, key);
  return entry ? entry->get(at) : std::nullopt;
}

void IndexRoot::get(std::span<KeyLookup> lookups) const {
  for (KeyLookup& lookup : lookups) lookup.state.reset();
  if (!node_) return;
  std::array<const KeyIndex*, kKeysSideBySide> found;
  for (; !lookups.empty(); lookups = lookups.subspan(std::min(lookups.size(), found.size()))) {
    const std::size_t n = std::min(lookups.size(), found.size());
    find_entries(node_, lookups.first(n), found.data());
    for (std::size_t i = 0; i < n; ++i)
      if (found[i]) lookups[i].state = found[i]->get(lookups[i].at);
  }
}

std::int64_t IndexRoot::count(const KeyRange& range, std::int64_t at) const {
  if (!node_ || empty_interval(range)) return 0;
  if (range.is_single()) return get(range.begin(), at) ? 1 : 0;
  std::int64_t n = 0;
  RangeSum sum(
      range, [&](const Summary& s) { return s.births_and_deaths <= at; }, [&](const Summary& s, int sign) { n += sign * s.live_keys; },
      [&](const IndexNode& leaf, unsigned first, unsigned last) {
        if (leaf.below.live_keys == leaf.count && leaf.below.births_and_deaths <= at) {
          n += last - first;
          return;
        }
        for (unsigned i = first; i < last; ++i) {
          const KeyIndex& entry = *leaf.keys[i];
          const std::uint32_t visible = entry.up_to(at);
          n += visible != 0 && !entry.records()[visible - 1].tombstone;
        }
      });
  sum.add(*node_, true, range.has_end());
  return n;
}

RangeSize IndexRoot::size(const KeyRange& range, std::int64_t at) const {
  RangeSize size;
  if (!node_ || empty_interval(range)) return size;
  const auto add_key = [&](const KeyIndex& entry) {
    const std::uint32_t visible = entry.up_to(at);
    if (visible == 0 || entry.records()[visible - 1].tombstone) return;
    ++size.keys;
    size.framed_bytes += static_cast<std::int64_t>(framed_size(entry.records()[visible - 1].row_bytes));
  };
  if (range.is_single()) {
    if (const KeyIndex* entry = find_entry(node_, range.begin())) add_key(*entry);
    return size;
  }
  RangeSum sum(
      range, [&](const Summary& s) { return s.modified <= at; },
      [&](const Summary& s, int sign) {
        size.keys += sign * s.live_keys;
        size.framed_bytes += sign * s.live_bytes;
      },
      [&](const IndexNode& leaf, unsigned first, unsigned last) {
        for (unsigned i = first; i < last; ++i) add_key(*leaf.keys[i]);
      });
  sum.add(*node_, true, range.has_end());
  return size;
}

bool IndexRoot::keeps(base::BytesView key, Revision revision, std::int64_t at, Tombstones tombstones) const {
  const KeyIndex* entry = find_entry(node_, key);
  if (!entry) return false;
  const auto cut = entry->cut(at);
  if (!cut.kept) return false;
  const RevisionRecord* record = entry->records() + cut.first;
  if (record->revision() == revision) return !(record->tombstone && tombstones == Tombstones::kLeaveOut);
  if (tombstones == Tombstones::kLeaveOut) return false;
  // A key deleted and put again by one transaction (the API refuses that) has a second record at `at`, which is no
  // member of etcd's keep set but still in the index: its row must live.
  for (std::uint32_t i = cut.first + 1; i < entry->count && entry->records()[i].main <= at; ++i)
    if (entry->records()[i].revision() == revision) return true;
  return false;
}

bool IndexRoot::keeps_any(std::int64_t at, Tombstones tombstones) const {
  IndexCursor cursor(*this, KeyRange::all(), at);
  cursor.all_entries_ = true;
  while (const KeyIndex* entry = cursor.next_entry()) {
    const auto cut = entry->cut(at);
    if (cut.kept && !(entry->records()[cut.first].tombstone && tombstones == Tombstones::kLeaveOut)) return true;
  }
  return false;
}

std::vector<Generation> IndexRoot::generations(base::BytesView key) const {
  std::vector<Generation> all;
  const KeyIndex* entry = find_entry(node_, key);
  if (!entry) return all;
  bool begins = true;
  for (std::uint32_t i = 0; i < entry->count; ++i) {
    if (begins) all.push_back({.created = entry->created(i), .version = 0, .revisions = {}});
    all.back().version = entry->version(i);
    all.back().revisions.push_back(entry->records()[i].revision());
    begins = entry->records()[i].tombstone;
  }
  if (begins) all.emplace_back();
  return all;
}

std::vector<RowKey> IndexRoot::revisions(base::BytesView key, std::int64_t since) const {
  std::vector<RowKey> all;
  const KeyIndex* entry = find_entry(node_, key);
  if (!entry) return all;
  for (std::uint32_t i = entry->up_to(since - 1); i < entry->count; ++i)
    all.push_back({entry->records()[i].revision(), static_cast<bool>(entry->records()[i].tombstone)});
  return all;
}

std::int64_t IndexRoot::entries() const {
  IndexCursor cursor(*this, KeyRange::all(), 0);
  cursor.all_entries_ = true;
  std::int64_t n = 0;
  while (cursor.next_entry()) ++n;
  return n;
}

IndexCursor::IndexCursor(const IndexRoot& root, const KeyRange& range, std::int64_t at) : range_(range), at_(at) {
  if (!root.node_ || empty_interval(range)) return;
  const IndexNode* node = root.node_;
  while (!node->leaf()) {
    ETCDPP_ASSERT(depth_ + 1 < kMaxDepth, "the key index is deeper than any that fits into memory");
    const unsigned child = node->child_of(range.begin());
    path_[depth_++] = {node, child};
    node = node->inner().children[child];
  }
  path_[depth_++] = {node, node->find(range.begin()).position};
}

void IndexCursor::descend(const IndexNode* node) {
  while (!node->leaf()) {
    path_[depth_++] = {node, 0};
    node = node->inner().children[0];
  }
  path_[depth_++] = {node, 0};
}

const KeyIndex* IndexCursor::next_entry() {
  while (depth_ > 0) {
    Step& step = path_[depth_ - 1];
    if (step.node->leaf()) {
      if (step.position < step.node->count) {
        const KeyIndex* entry = step.node->keys[step.position++];
        if (range_.ends_before(entry->key())) break;
        ++visited_;
        return entry;
      }
      --depth_;
      continue;
    }
    if (++step.position >= step.node->count) {
      --depth_;
      continue;
    }
    const IndexNode* child = step.node->inner().children[step.position];
    // Nobody lives there, and nobody came or went since: nothing to see at `at_` either.
    if (!all_entries_ && child->below.live_keys == 0 && child->below.births_and_deaths <= at_) {
      ++visited_;
      continue;
    }
    descend(child);
  }
  depth_ = 0;
  return nullptr;
}

bool IndexCursor::next(KeyState& out) {
  while (const KeyIndex* entry = next_entry()) {
    if (auto state = entry->get(at_)) {
      out = *state;
      return true;
    }
  }
  return false;
}

}  // namespace etcdpp::mvcc
