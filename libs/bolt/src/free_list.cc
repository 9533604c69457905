#include "free_list.h"

#include <algorithm>
#include <vector>

namespace etcdpp::bolt {

base::Result<std::optional<FreeList>> FreeList::open(const PageFile& pages, std::uint64_t number) {
  char head[kPageHead + 8];
  ETCDPP_ASSIGN(const std::size_t got, pages.file().read_at(number * pages.page_size(), head, sizeof head));
  if (got != sizeof head || load<std::uint64_t>(head) != number || load<std::uint16_t>(head + 8) != kFreeListPage) return std::optional<FreeList>();
  FreeList list(pages, number);
  list.overflow_ = load<std::uint32_t>(head + 12);
  list.count_ = load<std::uint16_t>(head + 10);
  if (list.count_ == kLongFreeList) {
    list.count_ = load<std::uint64_t>(head + kPageHead);
    list.at_ += 8;
  }
  return std::optional(list);
}

base::Result<std::optional<Fault>> FreeList::each(const Visitor& visit) const {
  if (count_ > ((overflow_ + 1) * pages_.page_size() - at_) / 8) return std::optional(Fault{10, "has more free pages than it has room"});
  std::vector<char> numbers(std::size_t{64} << 10);
  for (std::uint64_t done = 0; done < count_;) {
    const std::uint64_t n = std::min<std::uint64_t>(count_ - done, numbers.size() / 8);
    const std::size_t offset = static_cast<std::size_t>(at_ + 8 * done);
    ETCDPP_ASSIGN(const std::size_t got, pages_.file().read_at(number_ * pages_.page_size() + offset, numbers.data(), n * 8));
    if (got != n * 8) return std::optional(Fault{offset, "is beyond the end of the file"});
    for (std::uint64_t i = 0; i < n; ++i) visit(load<std::uint64_t>(numbers.data() + 8 * i), offset + static_cast<std::size_t>(8 * i));
    done += n;
  }
  return std::optional<Fault>();
}

}  // namespace etcdpp::bolt
