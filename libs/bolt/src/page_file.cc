#include "page_file.h"

#include <algorithm>

#include <etcdpp/bolt/errc.h>

namespace etcdpp::bolt {

base::Error PageFile::damaged(std::uint64_t page, std::size_t offset, const std::string& what) const {
  return base::Error(Errc::kDamaged, path() + ": page " + std::to_string(page) + " (byte " +
                                         std::to_string(page * page_size_ + offset) + ") " + what);
}

base::Result<Page> PageFile::read_head_checked(std::uint64_t number, std::uint64_t room) const {
  if (number < 2 || number >= pages_) return damaged(number, 0, "is not among the pages 2 to " + std::to_string(pages_ - 1) + " of the database");
  const std::size_t page_size = static_cast<std::size_t>(page_size_);
  auto bytes = std::make_unique_for_overwrite<char[]>(page_size);
  ETCDPP_ASSIGN(std::size_t got, file_->read_at(number * page_size_, bytes.get(), page_size));
  if (got != page_size) return damaged(number, got, "is beyond the end of the file: it has been truncated");
  Page page(number, std::move(bytes), page_size);
  const std::uint64_t overflow = page.overflow();
  if (overflow > 0 && (page.is_branch() || page.is_leaf()) && load<std::uint64_t>(page.head()) == number) {
    if (overflow >= pages_ - number) return damaged(number, 12, "has overflow pages beyond the last page");
    const std::uint64_t size = (overflow + 1) * page_size_;
    // The length is a claim of the file: it gets memory only if the file is that long.
    ETCDPP_ASSIGN(const std::uint64_t file_size, file_->size());
    if (number * page_size_ + size > file_size) return damaged(number, 12, "has overflow pages beyond the end of the file: it has been truncated");
    if (size > room) return base::Error(Errc::kTooLarge, damaged(number, 12, "has " + std::to_string(overflow) + " overflow pages").context);
    bytes = std::make_unique_for_overwrite<char[]>(size);
    ETCDPP_ASSIGN(got, file_->read_at(number * page_size_, bytes.get(), size));
    if (got != size) return damaged(number, got, "is beyond the end of the file: it has been truncated");
    page = Page(number, std::move(bytes), size);
  }
  if (const auto fault = page.check_head()) return damaged(number, fault->offset, fault->what);
  return page;
}

base::Result<Page> PageFile::read(std::uint64_t number, std::uint64_t room) const {
  ETCDPP_ASSIGN(Page page, read_head_checked(number, room));
  for (std::size_t i = 0; i < page.count(); ++i)
    if (const auto fault = page.check_element(i)) return damaged(number, fault->offset, fault->what);
  return page;
}

}  // namespace etcdpp::bolt
