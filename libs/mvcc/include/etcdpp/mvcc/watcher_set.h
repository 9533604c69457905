#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/random.h>
#include <etcdpp/mvcc/key_range.h>

namespace etcdpp::mvcc {

/// Which watchers want a key: those of the single key by hash, those of ranges by an interval tree.
///
/// Entries are the caller's pointers; the set never looks behind them. Equal ranges share a node, so that ten thousand
/// watchers of one prefix cost a lookup as one does.
/// Threads: one owner. Determinism: a function of the calls and the seed, which shapes the tree (a treap: nobody who chooses
/// ranges can make it deep without knowing the seed).
class WatcherSet {
 public:
  explicit WatcherSet(std::uint64_t seed = 1);
  ~WatcherSet();
  WatcherSet(const WatcherSet&) = delete;
  WatcherSet& operator=(const WatcherSet&) = delete;

  void insert(const KeyRange& range, void* entry);
  /// Takes out an entry that was inserted with this range.
  void erase(const KeyRange& range, void* entry);
  void clear();

  /// Calls visit(void*) for every entry whose range contains `key`. The set must not change meanwhile.
  template <typename Visit>
  void match(base::BytesView key, Visit visit) const {
    if (const auto single = singles_.find(key); single != singles_.end()) {
      for (void* entry : single->second) visit(entry);
    }
    if (root_ != nullptr) stab(key, [](void* context, void* entry) { (*static_cast<Visit*>(context))(entry); }, &visit);
  }

  /// Calls visit(void*) for every entry.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const auto& [key, entries] : singles_) {
      for (void* entry : entries) visit(entry);
    }
    walk([](void* context, void* entry) { (*static_cast<Visit*>(context))(entry); }, &visit);
  }

  std::size_t size() const { return size_; }

 private:
  struct Node;
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(base::BytesView key) const { return std::hash<base::BytesView>{}(key); }
  };
  using Visitor = void (*)(void* context, void* entry);

  void stab(base::BytesView key, Visitor visit, void* context) const;
  void walk(Visitor visit, void* context) const;

  std::unordered_map<base::Bytes, std::vector<void*>, KeyHash, std::equal_to<>> singles_;
  Node* root_ = nullptr;
  base::Random random_;
  std::size_t size_ = 0;
};

}  // namespace etcdpp::mvcc
