#include <algorithm>
#include <cstring>
#include <new>
#include <span>
#include <vector>

#include <etcdpp/base/assert.h>
#include <etcdpp/mvcc/tree_index.h>

#include "index_memory.h"
#include "index_node.h"
#include "key_index.h"

namespace etcdpp::mvcc {

/// Merges sorted rows into the tree from the leaves up.
///
/// A node is told what belongs below it and answers with the nodes that take its place: itself, and others behind it when
/// it has become too full. So a node is looked at once, however many keys come into it.
class TreeIndex::Merge {
 public:
  Merge(TreeIndex& index, const RestoredRow* rows, const RestoredKey* end) : index_(index), rows_(rows), end_(end) {}

  using Nodes = std::vector<IndexNode*>;
  using Keys = std::span<const RestoredKey>;

  /// `last`: nothing is behind this node.
  void into(IndexNode* node, Keys keys, bool last, Nodes& out) {
    if (node->leaf()) return into_leaf(node, keys, last, out);
    node = index_.writable(node);
    Nodes children;
    std::size_t at = 0;
    for (unsigned i = 0; i < node->count; ++i) {
      const bool final = i + 1u == node->count;
      const std::size_t end = final ? keys.size() : first_from(keys, at, node->keys[i + 1]->key());
      if (end == at) {
        children.push_back(node->inner().children[i]);
      } else {
        into(node->inner().children[i], keys.subspan(at, end - at), last && final, children);
      }
      at = end;
    }
    spread(children, node, node->level, last, out);
  }

  /// Puts `children` into `node` (null: a new one) and as many more as it takes.
  void spread(const Nodes& children, IndexNode* node, std::uint16_t level, bool last, Nodes& out) {
    Parts parts(children.size(), last);
    for (std::size_t at = 0; at < children.size();) {
      if (!node) node = make<InnerNode>(level);
      node->count = static_cast<std::uint16_t>(parts.next());
      for (unsigned i = 0; i < node->count; ++i, ++at) {
        node->keys[i] = children[at]->keys[0];
        node->inner().children[i] = children[at];
      }
      node->refresh_heads();
      node->refresh_summary();
      out.push_back(node);
      node = nullptr;
    }
  }

 private:
  /// How many of n pieces the next node takes: at the end of the tree nodes are filled, since keys that come in order go
  /// on there; elsewhere all get about the same.
  struct Parts {
    Parts(std::size_t n, bool fill) : left(n), nodes((n + IndexNode::kFanout - 1) / IndexNode::kFanout), filled(fill) {}
    std::size_t next() {
      const std::size_t part = filled ? std::min<std::size_t>(left, IndexNode::kFanout) : (left + nodes - 1) / nodes;
      left -= part;
      --nodes;
      return part;
    }
    std::size_t left;
    std::size_t nodes;
    bool filled;
  };

  template <typename Node>
  Node* make(std::uint16_t level) {
    auto* node = new (index_.memory_->allocate(sizeof(Node))) Node;
    node->made_in = index_.batch_;
    node->level = level;
    return node;
  }

  // The first of `keys` from `at` on that is not below `bound`: probably near.
  static std::size_t first_from(Keys keys, std::size_t at, base::BytesView bound) {
    std::size_t step = 1;
    while (at + step <= keys.size() && keys[at + step - 1].view() < bound) {
      at += step;
      step *= 2;
    }
    const auto begin = keys.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end = keys.begin() + static_cast<std::ptrdiff_t>(std::min(at + step, keys.size()));
    return static_cast<std::size_t>(std::partition_point(begin, end, [&](const RestoredKey& key) { return key.view() < bound; }) - keys.begin());
  }

  void into_leaf(IndexNode* leaf, Keys keys, bool last, Nodes& out) {
    leaf = index_.writable(leaf);
    merged_.clear();
    heads_.clear();
    unsigned kept = 0;  // keys of the leaf that are in merged_
    const auto keep_to = [&](unsigned end) {
      merged_.insert(merged_.end(), leaf->keys + kept, leaf->keys + end);
      heads_.insert(heads_.end(), leaf->heads + kept, leaf->heads + end);
      kept = end;
    };
    for (std::size_t at = 0; at < keys.size();) {
      const base::BytesView key = keys[at].view();
      std::size_t end = at + 1;
      while (end < keys.size() && keys[end].view() == key) ++end;
      const IndexNode::Place place = kept < leaf->count ? leaf->find(key) : IndexNode::Place{kept, false};
      keep_to(place.position);
      if (place.exact) {
        KeyIndex*& entry = leaf->keys[kept];
        const Summary before = Summary::of(*entry);
        entry = index_.writable(entry);
        for (; at < end; ++at) add(entry, row(keys[at]));
        leaf->below.change(before, Summary::of(*entry));
        continue;
      }
      const RestoredRow& first = row(keys[at]);
      KeyIndex* entry = index_.make_entry(key);
      entry->first_created = first.tombstone ? 0 : first.create_revision;
      entry->first_version = first.tombstone ? 1 : first.version;
      index_.append(entry, first.revision, first.row_bytes, first.tombstone);
      for (++at; at < end; ++at) add(entry, row(keys[at]));
      leaf->below.change({}, Summary::of(*entry));
      merged_.push_back(entry);
      heads_.push_back(IndexNode::head_of(key, leaf->skip));
    }
    keep_to(leaf->count);
    if (merged_.size() <= IndexNode::kFanout) {
      put_into(leaf);
      out.push_back(leaf);
      return;
    }
    Parts parts(merged_.size(), last);
    for (std::size_t at = 0; at < merged_.size();) {
      if (!leaf) leaf = make<IndexNode>(0);
      leaf->count = static_cast<std::uint16_t>(parts.next());
      std::copy_n(merged_.begin() + static_cast<std::ptrdiff_t>(at), leaf->count, leaf->keys);
      leaf->refresh_heads();
      leaf->refresh_summary();
      at += leaf->count;
      out.push_back(leaf);
      leaf = nullptr;
    }
  }

  // All of merged_; heads that are taken behind the right prefix are good as they are.
  void put_into(IndexNode* leaf) {
    leaf->count = static_cast<std::uint16_t>(merged_.size());
    std::copy(merged_.begin(), merged_.end(), leaf->keys);
    if (leaf->count > 1 && common_prefix(merged_.front()->key(), merged_.back()->key()) == leaf->skip) {
      std::copy(heads_.begin(), heads_.end(), leaf->heads);
      leaf->set_guide();
    } else {
      leaf->refresh_heads();
    }
  }

  const RestoredRow& row(const RestoredKey& key) const {
    // Sorted by key, rows and key bytes lie anywhere.
    constexpr std::ptrdiff_t kAhead = 8;
    if (end_ - &key > kAhead) {
      __builtin_prefetch(&rows_[(&key + kAhead)->row]);
      __builtin_prefetch((&key + kAhead)->key);
    }
    return rows_[key.row];
  }

  void add(KeyIndex* entry, const RestoredRow& row) {
    if (!row.tombstone || entry->live()) index_.append(entry, row.revision, row.row_bytes, row.tombstone);
  }

  TreeIndex& index_;
  const RestoredRow* const rows_;
  const RestoredKey* const end_;
  std::vector<KeyIndex*> merged_;
  std::vector<std::uint64_t> heads_;
};

void TreeIndex::restore(std::span<const RestoredKey> keys, const RestoredRow* rows) {
  if (keys.empty()) return;
  Merge merge(*this, rows, keys.data() + keys.size());
  Merge::Nodes nodes, above;
  merge.into(root_, keys, true, nodes);
  while (nodes.size() > 1) {
    above.clear();
    merge.spread(nodes, nullptr, static_cast<std::uint16_t>(nodes.front()->level + 1), true, above);
    nodes.swap(above);
  }
  root_ = nodes.front();
}

}  // namespace etcdpp::mvcc
