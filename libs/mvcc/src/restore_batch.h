#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/mvcc/tree_index.h>

namespace etcdpp::mvcc {

/// Rows on their way into the index, to be sorted by key.
///
/// Rows come in order of revision, their keys in any. Entering each key on its own costs a walk through cold nodes;
/// sorted, those of one leaf go into it at once. One owner at a time. Memory: the batch's, kept for the next rows.
class RestoreBatch {
 public:
  void add(base::BytesView key, const TreeIndex::RestoredRow& row);
  bool full() const { return items_.size() == kRows || chunks_.size() > kChunks; }
  /// Sorts what has gathered, enters it and is empty again.
  void enter(TreeIndex& index);

 private:
  static constexpr std::size_t kRows = 128 * 1024;
  static constexpr std::size_t kChunkBytes = 1 << 20;
  static constexpr std::size_t kChunks = 32;

  struct Item {
    std::uint64_t head;  // eight bytes of the key, those that are being sorted by
    TreeIndex::RestoredKey key;
  };
  void sort();
  void order(Item* begin, Item* end, std::size_t end_here);
  void order_by_head(Item* begin, Item* end);

  std::vector<Item> items_;
  std::vector<Item> room_;  // for the sort
  std::vector<TreeIndex::RestoredRow> rows_;
  std::vector<TreeIndex::RestoredKey> keys_;
  std::vector<std::unique_ptr<char[]>> chunks_;
  char* at_ = nullptr;
  std::size_t left_ = 0;
};

}  // namespace etcdpp::mvcc
