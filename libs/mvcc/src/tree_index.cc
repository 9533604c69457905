#include <etcdpp/mvcc/tree_index.h>

#include <bit>
#include <cstring>
#include <new>

#include <etcdpp/base/assert.h>

#include "index_memory.h"
#include "index_node.h"
#include "key_index.h"

// The writing half of the index; the reading half is index_root.cc, compaction's pass index_compaction.cc,
// a start's index_merge.cc.
//
// A node or key whose made_in is the open batch was never published and is changed in place; any other is copied
// first, and so are its ancestors (open_path), because each must point to the copy. A key's list of revisions is shared
// by all its versions: appending behind what published versions see disturbs nobody.

namespace etcdpp::mvcc {

TreeIndex::TreeIndex() : memory_(std::make_unique<IndexMemory>()) {
  auto* leaf = new (memory_->allocate(sizeof(IndexNode))) IndexNode;
  leaf->made_in = batch_;
  root_ = leaf;
}

TreeIndex::TreeIndex(TreeIndex&& other) noexcept
    : memory_(std::move(other.memory_)),
      root_(std::exchange(other.root_, nullptr)),
      batch_(other.batch_),
      garbage_(std::move(other.garbage_)) {}

TreeIndex& TreeIndex::operator=(TreeIndex&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(root_, other.root_);
  std::swap(batch_, other.batch_);
  std::swap(garbage_, other.garbage_);
  return *this;
}

TreeIndex::~TreeIndex() {
  if (!root_) return;
  reclaim(std::move(garbage_));
  free_tree(root_);
}

void TreeIndex::free_tree(IndexNode* node) {
  for (unsigned i = 0; i < node->count; ++i) {
    if (!node->leaf()) {
      free_tree(node->inner().children[i]);
      continue;
    }
    KeyIndex* entry = node->keys[i];
    if (entry->count > 1) memory_->release(entry->many.list, RevisionList::bytes(entry->many.list->capacity));
    memory_->release(entry, KeyIndex::bytes(entry->key_size));
  }
  memory_->release(node, node_bytes(*node));
}

IndexRoot TreeIndex::current() const {
  return IndexRoot(root_);
}

std::size_t TreeIndex::memory_bytes() const {
  return memory_->total_bytes();
}

TreeIndex::Published TreeIndex::publish() {
  ++batch_;
  return {IndexRoot(root_), std::exchange(garbage_, {})};
}

void TreeIndex::reclaim(Garbage garbage) {
  for (const auto& piece : garbage.pieces_) memory_->release(piece.memory, piece.bytes);
}

void TreeIndex::retire(void* memory, std::size_t bytes, std::uint64_t made_in) {
  if (made_in == batch_) {
    memory_->release(memory, bytes);
  } else {
    garbage_.pieces_.push_back({memory, bytes});
  }
}

std::optional<KeyState> TreeIndex::Slot::live() const {
  if (!entry_ || !entry_->live()) return std::nullopt;
  return entry_->state(entry_->count - 1);
}

TreeIndex::Slot TreeIndex::find(base::BytesView key) const {
  Slot slot;
  IndexNode* node = root_;
  while (!node->leaf()) {
    ETCDPP_ASSERT(slot.depth_ + 1 < Slot::kMaxDepth, "the key index is deeper than any that fits into memory");
    const unsigned child = node->guess_child(key);
    slot.path_[slot.depth_++] = {node, child};
    node = node->inner().children[child];
    node->prefetch();
  }
  if (const unsigned at = node->guess_key(key); at < node->count && node->keys[at]->key() == key) {
    slot.path_[slot.depth_++] = {node, at};
    slot.entry_ = node->keys[at];
    return slot;
  }
  // Most likely a new key: its place is where comparing keys leads.
  slot.depth_ = 0;
  node = root_;
  while (!node->leaf()) {
    const unsigned child = node->child_of(key);
    slot.path_[slot.depth_++] = {node, child};
    node = node->inner().children[child];
  }
  const auto place = node->find(key);
  slot.path_[slot.depth_++] = {node, place.position};
  if (place.exact) slot.entry_ = node->keys[place.position];
  return slot;
}

IndexNode* TreeIndex::writable(IndexNode* node) {
  if (node->made_in == batch_) return node;
  const bool leaf = node->leaf();
  auto* copy = static_cast<IndexNode*>(leaf ? new (memory_->allocate(sizeof(IndexNode))) IndexNode
                                            : new (memory_->allocate(sizeof(InnerNode))) InnerNode);
  copy->made_in = batch_;
  copy->skip = node->skip;
  copy->count = node->count;
  copy->level = node->level;
  copy->below = node->below;
  std::memcpy(copy->guide, node->guide, sizeof node->guide);
  std::memcpy(copy->heads, node->heads, node->count * sizeof(node->heads[0]));
  std::memcpy(copy->keys, node->keys, node->count * sizeof(node->keys[0]));
  if (!leaf) std::memcpy(copy->inner().children, node->inner().children, node->count * sizeof(IndexNode*));
  retire(node, node_bytes(*node), node->made_in);
  return copy;
}

KeyIndex* TreeIndex::writable(KeyIndex* entry) {
  if (entry->made_in == batch_) return entry;
  const std::size_t bytes = KeyIndex::bytes(entry->key_size);
  auto* copy = static_cast<KeyIndex*>(memory_->allocate(bytes));
  std::memcpy(static_cast<void*>(copy), entry, bytes);
  copy->made_in = batch_;
  retire(entry, bytes, entry->made_in);
  return copy;
}

KeyIndex* TreeIndex::make_entry(base::BytesView key) {
  ETCDPP_ASSERT(key.size() <= UINT32_MAX, "a key longer than any request may be");
  auto* entry = static_cast<KeyIndex*>(memory_->allocate(KeyIndex::bytes(key.size())));
  entry->made_in = batch_;
  entry->key_size = static_cast<std::uint32_t>(key.size());
  entry->count = 0;
  if (!key.empty()) std::memcpy(reinterpret_cast<char*>(entry + 1), key.data(), key.size());
  return entry;
}

void TreeIndex::open_path(Slot& slot) {
  for (std::size_t d = 0; d < slot.depth_; ++d) {
    IndexNode* node = slot.path_[d].node;
    IndexNode* own = writable(node);
    if (own == node) continue;
    slot.path_[d].node = own;
    if (d == 0) {
      root_ = own;
    } else {
      slot.path_[d - 1].node->inner().children[slot.path_[d - 1].position] = own;
    }
  }
}

void TreeIndex::append(KeyIndex* entry, Revision revision, std::uint32_t row_bytes, bool tombstone) {
  const RevisionRecord record{revision.main, static_cast<std::uint32_t>(revision.sub), row_bytes & 0x7fffffff,
                              tombstone};
  if (entry->count == 0) {
    entry->one = record;
    entry->count = 1;
    return;
  }
  const RevisionRecord last = entry->last();
  ETCDPP_ASSERT(last.revision() < revision, "a key's revisions must ascend");
  const std::uint32_t generation = last.tombstone ? entry->count : entry->last_generation();
  if (entry->count == 1 || entry->count == entry->many.list->capacity) {
    const std::uint32_t capacity = entry->count == 1 ? 2 : entry->count * 2;
    auto* list = static_cast<RevisionList*>(memory_->allocate(RevisionList::bytes(capacity)));
    list->made_in = batch_;
    list->capacity = capacity;
    std::memcpy(static_cast<void*>(list->records), entry->records(), entry->count * sizeof(RevisionRecord));
    if (entry->count > 1) {
      RevisionList* old = entry->many.list;
      retire(old, RevisionList::bytes(old->capacity), old->made_in);
    }
    entry->many.list = list;
  }
  entry->many.list->records[entry->count] = record;
  entry->many.last_generation = generation;
  ++entry->count;
}

// `slot` leads to the entry that `entry` replaces, or is (changed in place); the path is open, summaries are not yet.
void TreeIndex::replace(Slot& slot, KeyIndex* entry) {
  for (std::size_t d = slot.depth_; d-- > 0;) {
    auto& step = slot.path_[d];
    step.node->keys[step.position] = entry;
    if (step.position != 0) break;  // ancestors know it only as the first key of a child
  }
}

void TreeIndex::put(Slot& slot, base::BytesView key, Revision revision, std::uint32_t row_bytes) {
  ETCDPP_ASSERT(row_bytes <= 0x7fffffff && revision.sub >= 0 && revision.sub <= UINT32_MAX,
                "row or transaction too large for the index");
  open_path(slot);
  if (slot.entry_) {
    const Summary before = Summary::of(*slot.entry_);
    KeyIndex* entry = writable(slot.entry_);
    append(entry, revision, row_bytes, false);
    const Summary after = Summary::of(*entry);
    for (std::size_t d = 0; d < slot.depth_; ++d) slot.path_[d].node->below.change(before, after);
    if (entry != slot.entry_) replace(slot, entry);
    return;
  }
  KeyIndex* entry = make_entry(key);
  entry->first_created = revision.main;
  entry->first_version = 1;
  append(entry, revision, row_bytes, false);
  insert(slot, entry);
}

bool TreeIndex::tombstone(Slot& slot, Revision revision, std::uint32_t row_bytes) {
  if (!slot.entry_ || !slot.entry_->live()) return false;
  ETCDPP_ASSERT(row_bytes <= 0x7fffffff && revision.sub >= 0 && revision.sub <= UINT32_MAX,
                "row or transaction too large for the index");
  open_path(slot);
  const Summary before = Summary::of(*slot.entry_);
  KeyIndex* entry = writable(slot.entry_);
  append(entry, revision, row_bytes, true);
  const Summary after = Summary::of(*entry);
  for (std::size_t d = 0; d < slot.depth_; ++d) slot.path_[d].node->below.change(before, after);
  if (entry != slot.entry_) replace(slot, entry);
  return true;
}

// The path is open. A full node is split in halves, or, when the key goes behind its last one, left full: keys that
// come in order then fill their nodes.
void TreeIndex::insert(Slot& slot, KeyIndex* entry) {
  const Summary added = Summary::of(*entry);
  KeyIndex* key = entry;
  IndexNode* child = nullptr;  // to be inserted beside the key, above the leaves
  std::size_t d = slot.depth_;
  while (d-- > 0) {
    IndexNode* node = slot.path_[d].node;
    unsigned position = slot.path_[d].position;
    if (!node->leaf()) {
      // The child on the path may have got a new first key.
      IndexNode* below = node->inner().children[position];
      if (node->keys[position] != below->keys[0]) node->set_key(position, below->keys[0]);
      if (!child) {
        node->below.change({}, added);
        continue;
      }
      ++position;
    }
    IndexNode* target = node;
    IndexNode* right = nullptr;
    if (node->full()) {
      const bool leaf = node->leaf();
      right = leaf ? new (memory_->allocate(sizeof(IndexNode))) IndexNode
                   : static_cast<IndexNode*>(new (memory_->allocate(sizeof(InnerNode))) InnerNode);
      right->made_in = batch_;
      right->level = node->level;
      const unsigned middle = position == node->count ? position : IndexNode::kFanout / 2;
      right->append_from(*node, middle);
      node->count = static_cast<std::uint16_t>(middle);
      node->refresh_heads();
      if (position >= node->count && (position > node->count || right->count == 0)) {
        position -= node->count;
        target = right;
      }
    }
    if (!target->leaf()) {
      auto& children = target->inner().children;
      std::memmove(children + position + 1, children + position, (target->count - position) * sizeof(children[0]));
      children[position] = child;
    }
    target->insert_key(position, key);
    if (right) {
      node->refresh_summary();
      right->refresh_summary();
      key = right->keys[0];
    } else if (node->leaf()) {
      node->below.change({}, added);
    } else {
      node->refresh_summary();
    }
    child = right;
  }
  if (!child) return;
  auto* root = new (memory_->allocate(sizeof(InnerNode))) InnerNode;
  root->made_in = batch_;
  root->level = static_cast<std::uint16_t>(root_->level + 1);
  root->count = 2;
  root->keys[0] = root_->keys[0];
  root->keys[1] = key;
  root->children[0] = root_;
  root->children[1] = child;
  root->refresh_heads();
  root->refresh_summary();
  root_ = root;
}

}  // namespace etcdpp::mvcc
