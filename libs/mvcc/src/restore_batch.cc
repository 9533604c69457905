#include "restore_batch.h"

#include <algorithm>
#include <cstring>

#include "index_node.h"

namespace etcdpp::mvcc {

void RestoreBatch::add(base::BytesView key, const TreeIndex::RestoredRow& row) {
  if (key.size() > left_) {
    const std::size_t size = std::max(kChunkBytes, key.size());
    chunks_.push_back(std::unique_ptr<char[]>(new char[size]));
    at_ = chunks_.back().get();
    left_ = size;
  }
  if (!key.empty()) std::memcpy(at_, key.data(), key.size());
  if (items_.capacity() == 0) {
    items_.reserve(kRows);
    rows_.reserve(kRows);
  }
  items_.push_back({0, at_, static_cast<std::uint32_t>(key.size()), static_cast<std::uint32_t>(rows_.size())});
  rows_.push_back(row);
  at_ += key.size();
  left_ -= key.size();
  if (items_.size() == kRows || chunks_.size() > 64) flush();
}

// By eight bytes at a time: a group that is equal in them is sorted by the next eight. A key is touched once per round.
void RestoreBatch::sort(Item* begin, Item* end) {
  struct Group {
    Item* begin;
    Item* end;
    std::size_t depth;
  };
  std::vector<Group> groups{{begin, end, 0}};
  while (!groups.empty()) {
    auto [first, last, depth] = groups.back();
    groups.pop_back();
    bool longer = false;  // some key goes on behind these eight bytes
    for (Item* item = first; item != last; ++item) {
      item->head = IndexNode::head_of({item->key, item->key_size}, depth);
      longer |= item->key_size > depth + 8;
    }
    // Of equal heads the shorter key is the lesser if both end here; keys that go on are told apart below.
    std::sort(first, last, [end_here = depth + 8](const Item& a, const Item& b) {
      if (a.head != b.head) return a.head < b.head;
      const std::size_t a_size = std::min<std::size_t>(a.key_size, end_here),
                        b_size = std::min<std::size_t>(b.key_size, end_here);
      return a_size != b_size ? a_size < b_size : a.row < b.row;
    });
    if (!longer) continue;
    for (Item* item = first; item != last;) {
      Item* behind = item + 1;
      if (item->key_size < depth + 8) {
        item = behind;
        continue;
      }
      while (behind != last && behind->head == item->head) ++behind;
      if (behind - item > 1) groups.push_back({item, behind, depth + 8});
      item = behind;
    }
  }
}

void RestoreBatch::flush() {
  constexpr std::size_t kAhead = 8;
  sort(items_.data(), items_.data() + items_.size());
  TreeIndex::Slot slot;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    // Sorted by key, rows and key bytes lie anywhere.
    if (i + kAhead < items_.size()) {
      __builtin_prefetch(&rows_[items_[i + kAhead].row]);
      __builtin_prefetch(items_[i + kAhead].key);
    }
    index_.restore({items_[i].key, items_[i].key_size}, rows_[items_[i].row], slot);
  }
  items_.clear();
  rows_.clear();
  chunks_.clear();
  at_ = nullptr;
  left_ = 0;
}

}  // namespace etcdpp::mvcc
