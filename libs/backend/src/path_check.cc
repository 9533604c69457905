#include "path_check.h"

#include <string>

#include "environment.h"
#include "mapped_page.h"

namespace etcdpp::backend {

base::Error PathCheck::damaged(std::uint64_t page, const char* what) const { return damaged_page(environment_, page, what); }

base::Result<> PathCheck::find_root() {
  const EngineCall call(environment_.path());
  if (tree_ == kFreeList) {
    // In the meta page of the last commit; only a writer asks, so it is still there.
    ETCDPP_ASSIGN(root_, mapped_root(environment_, environment_.map().page(mdb_txn_id(transaction_) & 1) + kPageHead + 24));
  } else {
    ETCDPP_ASSIGN(root_, mapped_root(environment_, transaction_, tree_));
  }
  root_known_ = true;
  return {};
}

// Of one that is `known` not the whole is looked at again; its bounds are needed all the same.
base::Result<PageView> PathCheck::page(std::uint64_t number, bool known) const {
  ETCDPP_ASSIGN(PageView page, mapped_page(environment_, number));
  if (const char* wrong = known ? nullptr : page.check()) return damaged(number, wrong);
  return page;
}

base::Result<> PathCheck::check_beside(std::uint64_t number) {
  if (checked_beside_.insert(number).second) ETCDPP_TRY(page(number, false));
  return {};
}

// The head of the pages on which a large value stands: it says how many of them a deletion frees.
base::Result<> PathCheck::check_value(const PageView& leaf, std::size_t at) {
  if (!(leaf.node_flags(at) & kBigData)) return {};
  const MappedFile& map = environment_.map();
  const std::uint64_t number = base::get_le64(leaf.value(at).data());
  const std::uint64_t pages = overflow_pages(leaf.value_size(at), map.page_size());
  if (number < 2 || !map.contains(map.page(number + pages) - 1)) return damaged(leaf.number(), "points to pages outside of the file");
  if (const char* wrong = check_overflow_head(map.page(number), number, pages)) return damaged(number, wrong);
  return {};
}

base::Result<> PathCheck::check_free_pages(const PageView& leaf) {
  const MappedFile& map = environment_.map();
  for (std::size_t i = 0; i < leaf.count(); ++i) {
    ETCDPP_TRY(check_value(leaf, i));
    const char* list = leaf.node_flags(i) & kBigData ? map.page(base::get_le64(leaf.value(i).data())) + kPageHead : leaf.value(i).data();
    if (leaf.key(i).size() != 8) return damaged(leaf.number(), "has a key of the wrong size in the free list");
    const char* wrong = check_free_list({list, leaf.value_size(i)}, [&](std::uint64_t page) { return page >= 2 && map.contains(map.page(page)); });
    if (wrong) return damaged(leaf.number(), wrong);
  }
  return {};
}

base::Result<> PathCheck::through(base::BytesView first, base::BytesView end) {
  ETCDPP_TRY(to(first));
  while (!below_.empty() && (end.empty() || below_ < end)) ETCDPP_TRY(to(below_));
  return {};
}

base::Result<> PathCheck::walk(base::BytesView key, End end, bool neighbours) {
  const MappedFile& map = environment_.map();
  if (!map.contains(map.page(0))) return {};
  if (!root_known_) ETCDPP_TRY(find_root());
  if (root_.page == kNoPage) return {};
  base::BytesView& from = from_ = {};
  base::BytesView& below = below_ = {};
  std::uint64_t number = root_.page;
  for (unsigned depth = 1;; ++depth) {
    const bool known = checked_[depth] == number;
    ETCDPP_ASSIGN(const PageView page, this->page(number, known));
    if (page.is_branch() != (depth < root_.depth)) return damaged(number, "is at the wrong depth");
    checked_[depth] = number;
    if (depth == root_.depth) {
      if (!known && tree_ != kFreeList && (page.key(0) < from || (!below.empty() && page.key(page.count() - 1) >= below)))
        return damaged(number, "has keys outside of its branch");
      if (tree_ == kFreeList && !known) return check_free_pages(page);
      if (!neighbours) return {};
      const std::size_t at = page.lower_bound(key);
      return at < page.count() && page.key(at) == key ? check_value(page, at) : base::Result<>();
    }
    const std::size_t at = end == End::kLast ? page.count() - 1 : end == End::kFirst ? 0 : page.lower_bound(key);
    if (neighbours) {
      if (at > 0) ETCDPP_TRY(check_beside(page.child(at - 1)));
      if (at + 1 < page.count()) ETCDPP_TRY(check_beside(page.child(at + 1)));
    }
    if (at > 0) from = page.key(at);
    if (at + 1 < page.count()) below = page.key(at + 1);
    number = page.child(at);
  }
}

}  // namespace etcdpp::backend
