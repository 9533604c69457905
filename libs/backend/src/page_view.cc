#include "page_view.h"

namespace etcdpp::backend {

const char* PageView::check() {
  if (const char* wrong = check_bounds()) return wrong;
  // Each node lies between `upper` and the end; together they fill that space, so none is missing and none is there twice.
  std::size_t filled = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    if (const char* wrong = check_node(i)) return wrong;
    const std::size_t size = node_size(node(i));
    filled += size + size % 2;
  }
  if (load<std::uint16_t>(14) + filled != bytes_.size()) return "has nodes that do not fill it";
  return nullptr;
}

std::size_t PageView::lower_bound(base::BytesView wanted) const {
  // A branch's first key says nothing: it stands for everything below the second.
  const bool branch = is_branch();
  std::size_t low = branch ? 1 : 0;
  std::size_t high = count_;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    const bool before = branch ? key(middle) <= wanted : key(middle) < wanted;
    if (before) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return branch ? low - 1 : low;
}

const char* check_overflow_head(const char* head, std::uint64_t number, std::uint64_t pages) {
  std::uint16_t flags;
  std::uint32_t count;
  std::memcpy(&flags, head + 10, sizeof flags);
  std::memcpy(&count, head + 12, sizeof count);
  const bool right = base::get_le64(head) == number && flags == kOverflowPage && count == pages;
  return right ? nullptr : "is not the overflow page that a row points to";
}

const char* check_free_list(base::BytesView list, const std::function<bool(std::uint64_t page)>& may_be_free) {
  if (list.size() < 8 || list.size() % 8 != 0 || base::get_le64(list.data()) != list.size() / 8 - 1) return "has a free list of the wrong length";
  std::uint64_t before = kNoPage;
  for (std::size_t at = 8; at < list.size(); at += 8) {
    const std::uint64_t page = base::get_le64(list.data() + at);
    if (page >= before || !may_be_free(page)) return "has a free list out of order";
    before = page;
  }
  return nullptr;
}

}  // namespace etcdpp::backend
