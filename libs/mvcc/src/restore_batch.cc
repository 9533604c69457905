#include "restore_batch.h"

#include <algorithm>
#include <array>
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
  items_.push_back({0, {at_, static_cast<std::uint32_t>(key.size()), static_cast<std::uint32_t>(rows_.size())}});
  rows_.push_back(row);
  at_ += key.size();
  left_ -= key.size();
}

// Stable: a byte at a time from the last to the first, those that all heads share left out.
void RestoreBatch::order_by_head(Item* begin, Item* end) {
  constexpr std::size_t kWorthCounting = 512;
  const auto n = static_cast<std::size_t>(end - begin);
  if (n < kWorthCounting) {
    std::sort(begin, end, [](const Item& a, const Item& b) { return a.head != b.head ? a.head < b.head : a.key.row < b.key.row; });
    return;
  }
  std::uint64_t differ = 0;
  bool sorted = true;
  for (std::size_t i = 1; i < n; ++i) {
    differ |= begin[i].head ^ begin[0].head;
    sorted &= begin[i - 1].head <= begin[i].head;
  }
  if (sorted) return;
  room_.resize(items_.size());
  Item* from = begin;
  Item* to = room_.data();
  for (unsigned shift = 0; shift < 64; shift += 8) {
    if ((differ >> shift & 0xff) == 0) continue;
    std::array<std::uint32_t, 257> starts{};
    for (std::size_t i = 0; i < n; ++i) ++starts[(from[i].head >> shift & 0xff) + 1];
    for (std::size_t i = 1; i < starts.size(); ++i) starts[i] += starts[i - 1];
    for (std::size_t i = 0; i < n; ++i) to[starts[from[i].head >> shift & 0xff]++] = from[i];
    std::swap(from, to);
  }
  if (from != begin) std::copy_n(from, n, begin);
}

// By head, then row; but of equal heads the shorter key is the lesser if both end here. Keys that go on are told apart
// by the next round.
void RestoreBatch::order(Item* begin, Item* end, std::size_t end_here) {
  order_by_head(begin, end);
  const auto size = [end_here](const Item& item) { return std::min<std::size_t>(item.key.key_size, end_here); };
  for (Item* item = begin; item != end;) {
    Item* behind = item + 1;
    bool alike = true;
    for (; behind != end && behind->head == item->head; ++behind) alike &= size(*behind) == size(*item);
    if (!alike) std::stable_sort(item, behind, [&](const Item& a, const Item& b) { return size(a) < size(b); });
    item = behind;
  }
}

// By eight bytes at a time, behind those that all keys share: a group that is equal in them is sorted by the next eight.
// A key is touched once per round.
void RestoreBatch::sort() {
  struct Group {
    Item* begin;
    Item* end;
    std::size_t depth;
  };
  const base::BytesView first_key = items_.front().key.view();
  std::size_t shared = first_key.size();
  for (const Item& item : items_) {
    const base::BytesView key = item.key.view();
    if (key.size() >= shared && std::memcmp(key.data(), first_key.data(), shared) == 0) continue;
    shared = static_cast<std::size_t>(std::mismatch(key.begin(), key.end(), first_key.begin(), first_key.end()).first - key.begin());
  }
  std::vector<Group> groups{{items_.data(), items_.data() + items_.size(), shared}};
  while (!groups.empty()) {
    auto [first, last, depth] = groups.back();
    groups.pop_back();
    bool longer = false;  // some key goes on behind these eight bytes
    for (Item* item = first; item != last; ++item) {
      item->head = IndexNode::head_of(item->key.view(), depth);
      longer |= item->key.key_size > depth + 8;
    }
    order(first, last, depth + 8);
    if (!longer) continue;
    for (Item* item = first; item != last;) {
      Item* behind = item + 1;
      if (item->key.key_size < depth + 8) {
        item = behind;
        continue;
      }
      while (behind != last && behind->head == item->head) ++behind;
      if (behind - item > 1) groups.push_back({item, behind, depth + 8});
      item = behind;
    }
  }
}

void RestoreBatch::enter(TreeIndex& index) {
  if (items_.empty()) return;
  sort();
  keys_.clear();
  keys_.reserve(items_.size());
  for (const Item& item : items_) keys_.push_back(item.key);
  index.restore(keys_, rows_.data());
  items_.clear();
  rows_.clear();
  chunks_.clear();
  at_ = nullptr;
  left_ = 0;
}

}  // namespace etcdpp::mvcc
