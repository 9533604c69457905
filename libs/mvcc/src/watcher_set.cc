// Ranges stand in a treap ordered by (begin, end); each node knows the one of its subtree that reaches farthest, so that
// a search for the ranges around a key leaves out every subtree that ends before it, and every right subtree that begins
// behind it: O(log n + matches) but for ranges that are nested in unlucky ways.
#include <etcdpp/mvcc/watcher_set.h>

#include <algorithm>
#include <utility>

#include <etcdpp/base/assert.h>

namespace etcdpp::mvcc {

struct WatcherSet::Node {
  base::Bytes begin;
  base::Bytes end;
  bool has_end;
  std::uint64_t priority;
  std::vector<void*> entries;
  Node* left = nullptr;
  Node* right = nullptr;
  const Node* farthest = this;

  bool ends_before(base::BytesView key) const { return has_end && base::BytesView(end) <= key; }
  static bool reaches_farther(const Node& a, const Node& b) { return b.has_end && (!a.has_end || a.end > b.end); }

  void update() {
    farthest = this;
    for (const Node* child : {left, right}) {
      if (child && reaches_farther(*child->farthest, *farthest)) farthest = child->farthest;
    }
  }
  /// < 0: the range stands left of this node.
  int compare(const KeyRange& range) const {
    if (const int by_begin = range.begin().compare(begin); by_begin != 0) return by_begin;
    if (has_end != range.has_end()) return has_end ? 1 : -1;
    return has_end ? range.end().compare(end) : 0;
  }

  static Node* rotate_right(Node* node) {
    Node* up = std::exchange(node->left, node->left->right);
    up->right = node;
    node->update();
    up->update();
    return up;
  }
  static Node* rotate_left(Node* node) {
    Node* up = std::exchange(node->right, node->right->left);
    up->left = node;
    node->update();
    up->update();
    return up;
  }

  static Node* insert(Node* node, const KeyRange& range, void* entry, base::Random& random) {
    if (!node) {
      return new Node{.begin = base::Bytes(range.begin()),
                      .end = range.has_end() ? base::Bytes(range.end()) : base::Bytes(),
                      .has_end = range.has_end(),
                      .priority = random.next(),
                      .entries = {entry}};
    }
    const int order = node->compare(range);
    if (order == 0) {
      node->entries.push_back(entry);
      return node;
    }
    Node*& child = order < 0 ? node->left : node->right;
    child = insert(child, range, entry, random);
    if (child->priority > node->priority) return order < 0 ? rotate_right(node) : rotate_left(node);
    node->update();
    return node;
  }

  /// Two trees, all of `a` left of all of `b`.
  static Node* join(Node* a, Node* b) {
    if (!a) return b;
    if (!b) return a;
    if (a->priority > b->priority) {
      a->right = join(a->right, b);
      a->update();
      return a;
    }
    b->left = join(a, b->left);
    b->update();
    return b;
  }

  static Node* erase(Node* node, const KeyRange& range, void* entry) {
    ETCDPP_ASSERT(node != nullptr, "a watcher's range is not in the set");
    const int order = node->compare(range);
    if (order != 0) {
      Node*& child = order < 0 ? node->left : node->right;
      child = erase(child, range, entry);
      node->update();
      return node;
    }
    const auto at = std::find(node->entries.begin(), node->entries.end(), entry);
    ETCDPP_ASSERT(at != node->entries.end(), "a watcher is not in the set");
    *at = node->entries.back();
    node->entries.pop_back();
    if (!node->entries.empty()) return node;
    Node* rest = join(node->left, node->right);
    delete node;
    return rest;
  }

  static void destroy(Node* node) {
    if (!node) return;
    destroy(node->left);
    destroy(node->right);
    delete node;
  }

  void stab(base::BytesView key, Visitor visit, void* context) const {
    if (farthest->ends_before(key)) return;
    if (left) left->stab(key, visit, context);
    if (key < base::BytesView(begin)) return;
    if (!ends_before(key)) {
      for (void* entry : entries) visit(context, entry);
    }
    if (right) right->stab(key, visit, context);
  }

  void walk(Visitor visit, void* context) const {
    if (left) left->walk(visit, context);
    for (void* entry : entries) visit(context, entry);
    if (right) right->walk(visit, context);
  }
};

WatcherSet::WatcherSet(std::uint64_t seed) : random_(seed) {}

WatcherSet::~WatcherSet() { Node::destroy(root_); }

void WatcherSet::insert(const KeyRange& range, void* entry) {
  ++size_;
  if (!range.is_single()) {
    root_ = Node::insert(root_, range, entry, random_);
    return;
  }
  auto at = singles_.find(range.begin());
  if (at == singles_.end()) at = singles_.emplace(base::Bytes(range.begin()), std::vector<void*>()).first;
  at->second.push_back(entry);
}

void WatcherSet::erase(const KeyRange& range, void* entry) {
  --size_;
  if (!range.is_single()) {
    root_ = Node::erase(root_, range, entry);
    return;
  }
  const auto single = singles_.find(range.begin());
  ETCDPP_ASSERT(single != singles_.end(), "a watcher's key is not in the set");
  auto& entries = single->second;
  const auto at = std::find(entries.begin(), entries.end(), entry);
  ETCDPP_ASSERT(at != entries.end(), "a watcher is not in the set");
  *at = entries.back();
  entries.pop_back();
  if (entries.empty()) singles_.erase(single);
}

void WatcherSet::clear() {
  Node::destroy(std::exchange(root_, nullptr));
  singles_.clear();
  size_ = 0;
}

void WatcherSet::stab(base::BytesView key, Visitor visit, void* context) const { root_->stab(key, visit, context); }

void WatcherSet::walk(Visitor visit, void* context) const {
  if (root_) root_->walk(visit, context);
}

}  // namespace etcdpp::mvcc
