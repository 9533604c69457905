#include "index_node.h"

namespace etcdpp::mvcc {

std::uint32_t common_prefix(base::BytesView a, base::BytesView b) {
  const std::size_t n = std::min(a.size(), b.size());
  std::size_t i = 0;
  while (i + 8 <= n && std::memcmp(a.data() + i, b.data() + i, 8) == 0) i += 8;
  while (i < n && a[i] == b[i]) ++i;
  return static_cast<std::uint32_t>(i);
}

// Short keys are padded with zeros: heads then order as the keys do, except that different keys may have equal heads.
std::uint64_t IndexNode::head_of(base::BytesView key, std::size_t skip) {
  if (key.size() >= skip + 8) return base::get_be64(key.data() + skip);
  char padded[8] = {};
  if (key.size() > skip) std::memcpy(padded, key.data() + skip, key.size() - skip);
  return base::get_be64(padded);
}

IndexNode::Place IndexNode::find(base::BytesView key) const {
  if (count == 0) return {0, false};
  const std::uint64_t head = head_of(key, skip);
  unsigned low = heads_below(head);
  // One key has to be looked at anyway; it also tells whether the sought one shares the prefix that makes heads
  // comparable.
  const base::BytesView probe = keys[low < count ? low : count - 1u]->key();
  if (skip != 0 && (key.size() < skip || std::memcmp(key.data(), probe.data(), skip) != 0))
    return {key < probe ? 0u : static_cast<unsigned>(count), false};
  if (low == count || heads[low] != head) return {low, false};
  if (const int order = probe.compare(key); order >= 0) return {low, order == 0};

  unsigned high = low + 1;  // keys[low] < key: the place is among the others with this head
  while (high < count && heads[high] == head) ++high;
  ++low;
  while (low < high) {
    const unsigned middle = (low + high) / 2;
    const int order = keys[middle]->key().compare(key);
    if (order == 0) return {middle, true};
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return {low, false};
}

unsigned IndexNode::guess_child(base::BytesView key) const {
  const std::uint64_t head = head_of(key, skip);
  const unsigned low = heads_below(head);
  if (low < count && heads[low] == head) {
    if (low + 1u < count && heads[low + 1] == head) return child_of(key);
    return keys[low]->key() <= key || low == 0 ? low : low - 1;
  }
  return low == 0 ? 0 : low - 1;
}

unsigned IndexNode::guess_key(base::BytesView key) const {
  const std::uint64_t head = head_of(key, skip);
  const unsigned low = heads_below(head);
  const bool one = low < count && heads[low] == head && (low + 1u == count || heads[low + 1] != head);
  return one ? low : count;
}

void IndexNode::insert_key(unsigned position, KeyIndex* key) {
  std::memmove(heads + position + 1, heads + position, (count - position) * sizeof(heads[0]));
  std::memmove(keys + position + 1, keys + position, (count - position) * sizeof(keys[0]));
  ++count;
  keys[position] = key;
  // Now and then the prefix is taken anew: a node that began with few keys would otherwise compare too short a one.
  if ((count & (count - 1)) == 0) {
    refresh_heads();
  } else {
    set_key(position, key);
    set_guide();
  }
}

void IndexNode::set_key(unsigned position, KeyIndex* key) {
  keys[position] = key;
  if (count == 1) return refresh_heads();
  // Sorted: the others' common prefix still holds iff the key shares it with a neighbour.
  const KeyIndex* neighbour = keys[position > 0 ? position - 1 : 1];
  if (common_prefix(key->key(), neighbour->key()) < skip) {
    refresh_heads();
  } else {
    heads[position] = head_of(key->key(), skip);
    if (position % kGroup == 0) guide[position / kGroup] = heads[position];
  }
}

void IndexNode::refresh_heads() {
  if (count == 0) {
    skip = 0;
    return;
  }
  // A single key says nothing about its future neighbours: no prefix then, so that they rarely force this again.
  skip = count == 1 ? 0 : common_prefix(keys[0]->key(), keys[count - 1]->key());
  for (unsigned i = 0; i < count; ++i) heads[i] = head_of(keys[i]->key(), skip);
  set_guide();
}

void IndexNode::set_guide() {
  for (unsigned i = 0; i * kGroup < count; ++i) guide[i] = heads[i * kGroup];
}

void IndexNode::refresh_summary() {
  below = {};
  for (unsigned i = 0; i < count; ++i) below.add(leaf() ? Summary::of(*keys[i]) : inner().children[i]->below);
}

void IndexNode::append_from(const IndexNode& from, unsigned position) {
  const unsigned n = from.count - position;
  std::memcpy(keys + count, from.keys + position, n * sizeof(keys[0]));
  if (!leaf()) std::memcpy(inner().children + count, from.inner().children + position, n * sizeof(IndexNode*));
  count = static_cast<std::uint16_t>(count + n);
  refresh_heads();
}

}  // namespace etcdpp::mvcc
