#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/mvcc/tree_index.h>

namespace etcdpp::mvcc {

/// Rows on their way into the index, sorted by key a quarter of a million at a time.
///
/// Rows come in order of revision, their keys in any. Entering each key on its own costs a walk through cold nodes;
/// sorted, a leaf is filled while it is warm. Memory: the batch's, given back by the destructor.
class RestoreBatch {
 public:
  explicit RestoreBatch(TreeIndex& index) : index_(index) {}
  void add(base::BytesView key, const TreeIndex::RestoredRow& row);
  /// Enters what has gathered.
  void flush();

 private:
  static constexpr std::size_t kRows = 256 * 1024;
  static constexpr std::size_t kChunkBytes = 1 << 20;

  struct Item {
    std::uint64_t head;  // eight bytes of the key, those that are being sorted by
    const char* key;
    std::uint32_t key_size;
    std::uint32_t row;  // index into rows_: order of revision
  };
  static void sort(Item* begin, Item* end);

  TreeIndex& index_;
  std::vector<Item> items_;
  std::vector<TreeIndex::RestoredRow> rows_;
  std::vector<std::unique_ptr<char[]>> chunks_;
  char* at_ = nullptr;
  std::size_t left_ = 0;
};

}  // namespace etcdpp::mvcc
