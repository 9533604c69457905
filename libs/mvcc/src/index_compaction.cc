#include <etcdpp/mvcc/tree_index.h>

#include <cstring>
#include <optional>

#include "index_memory.h"
#include "index_node.h"
#include "key_index.h"

// Compaction's pass over the index: in slices, in key order, past every subtree that has no history. A subtree is
// changed as any other: what was published is copied. Nodes that become small are joined with their right neighbour, so
// that an index that shrinks gives its nodes back.

namespace etcdpp::mvcc {

struct TreeIndex::Compaction {
  std::int64_t revision;
  base::Bytes& resume;
  std::size_t budget;
};

// The entry that stands for `entry` after compaction: itself, an own one, or none. Replaced ones are retired.
KeyIndex* TreeIndex::compacted(KeyIndex* entry, std::int64_t revision) {
  const auto cut = entry->cut(revision);
  if (cut.first == 0) return entry;
  RevisionList* list = entry->count > 1 ? entry->many.list : nullptr;
  if (cut.first == entry->count) {
    if (list) retire(list, RevisionList::bytes(list->capacity), list->made_in);
    retire(entry, KeyIndex::bytes(entry->key_size), entry->made_in);
    return nullptr;
  }
  // An entry with one record is cut at 0 or wholly, so there is a list here.
  const std::int64_t created = entry->created(cut.first);
  const std::int64_t version = entry->version(cut.first);
  const std::uint32_t left = entry->count - cut.first;
  const std::uint32_t generation = entry->last_generation();
  KeyIndex* own = writable(entry);
  own->first_created = created;
  own->first_version = version;
  own->count = left;
  if (left == 1) {
    own->one = list->records[cut.first];
  } else {
    auto* kept = static_cast<RevisionList*>(memory_->allocate(RevisionList::bytes(left)));
    kept->made_in = batch_;
    kept->capacity = left;
    std::memcpy(static_cast<void*>(kept->records), list->records + cut.first, left * sizeof(RevisionRecord));
    own->many = {kept, generation > cut.first ? generation - cut.first : 0};
  }
  retire(list, RevisionList::bytes(list->capacity), list->made_in);
  return own;
}

IndexNode* TreeIndex::compact_leaf(IndexNode* node, Compaction& pass, bool bounded, bool& changed) {
  unsigned at = bounded ? node->find(pass.resume).position : 0;
  if (at >= node->count) return node;
  const unsigned visited = node->count - at;
  pass.resume.assign(node->keys[node->count - 1]->key());
  pass.resume.push_back('\0');
  pass.budget -= std::min<std::size_t>(pass.budget, visited);

  while (at < node->count && node->keys[at]->cut(pass.revision).first == 0) ++at;
  if (at == node->count) return node;
  changed = true;
  node = writable(node);
  unsigned left = at;
  for (; at < node->count; ++at) {
    if (KeyIndex* entry = compacted(node->keys[at], pass.revision)) node->keys[left++] = entry;
  }
  node->count = static_cast<std::uint16_t>(left);
  node->refresh_heads();
  node->refresh_summary();
  return node;
}

IndexNode* TreeIndex::compact_node(IndexNode* node, Compaction& pass, bool bounded, bool& changed) {
  if (node->below.history == 0) return node;
  if (node->leaf()) return compact_leaf(node, pass, bounded, changed);

  const unsigned first = bounded ? node->child_of(pass.resume) : 0;
  unsigned behind = first;
  bool changed_here = false;
  for (; behind < node->count && pass.budget > 0; ++behind) {
    bool changed_child = false;
    IndexNode* child = node->inner().children[behind];
    IndexNode* own = compact_node(child, pass, bounded && behind == first, changed_child);
    if (!changed_child) continue;
    changed_here = true;
    node = writable(node);
    node->inner().children[behind] = own;
  }
  if (!changed_here) return node;
  changed = true;

  // Close the gaps, and join what has become small.
  auto& children = node->inner().children;
  unsigned left = first;
  for (unsigned i = first; i < node->count; ++i) {
    IndexNode* child = children[i];
    if (child->count == 0) {
      retire(child, node_bytes(*child), child->made_in);
      continue;
    }
    IndexNode* before = left > 0 ? children[left - 1] : nullptr;
    if (before && i <= behind && before->count + child->count <= IndexNode::kFanout / 2) {
      before = writable(before);
      children[left - 1] = before;
      before->append_from(*child, 0);
      before->below.add(child->below);
      retire(child, node_bytes(*child), child->made_in);
      continue;
    }
    children[left++] = child;
  }
  node->count = static_cast<std::uint16_t>(left);
  for (unsigned i = 0; i < left; ++i) node->keys[i] = children[i]->keys[0];
  node->refresh_heads();
  node->refresh_summary();
  return node;
}

bool TreeIndex::compact(std::int64_t revision, base::Bytes& resume, std::size_t budget) {
  Compaction pass{revision, resume, budget};
  bool changed = false;
  root_ = compact_node(root_, pass, !resume.empty(), changed);
  const bool complete = pass.budget > 0;
  while (!root_->leaf() && root_->count <= 1) {
    IndexNode* old = root_;
    if (old->count == 1) {
      root_ = old->inner().children[0];
    } else {
      auto* leaf = new (memory_->allocate(sizeof(IndexNode))) IndexNode;
      leaf->made_in = batch_;
      root_ = leaf;
    }
    retire(old, node_bytes(*old), old->made_in);
  }
  if (complete) resume.clear();
  return complete;
}

}  // namespace etcdpp::mvcc
