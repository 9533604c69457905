#include "cursor.h"

#include <etcdpp/bolt/errc.h>

namespace etcdpp::bolt {

Cursor::Cursor(const PageFile& pages, const Bucket& bucket)
    : pages_(pages), root_(bucket.root), inline_page_(bucket.inline_page) {}

base::Result<> Cursor::push(std::uint64_t number) {
  if (path_.size() >= kDeepestTree) return pages_.damaged(number, 0, "is deeper than a tree can be");
  // Each page of a tree is met once, but for those on the way down of a seek.
  if (++pages_read_ > pages_.pages() + kDeepestTree) return pages_.damaged(number, 0, "is reached again and again: the tree has a cycle");
  ETCDPP_ASSIGN(Page page, pages_.read(number, Reader::kMostBytesHeld - bytes_held_));
  bytes_held_ += page.size();
  path_.push_back({std::move(page), 0});
  return {};
}

base::Result<> Cursor::check_depth() {
  if (leaf_depth_ == 0) leaf_depth_ = path_.size();
  if (leaf_depth_ != path_.size()) return pages_.damaged(page(), 0, "is a leaf at another depth than those before it");
  return {};
}

void Cursor::pop() {
  bytes_held_ -= path_.back().page.size();
  path_.pop_back();
}

base::Result<bool> Cursor::seek(base::BytesView first) {
  path_.clear();
  bytes_held_ = 0;
  has_key_before_ = false;
  if (root_ == 0) {
    Page page{base::BytesView(inline_page_)};
    if (const auto fault = page.check(); fault || page.is_branch())
      return base::Error(Errc::kDamaged, pages_.path() + ": an inline bucket " + (fault ? fault->what : "is a branch"));
    bytes_held_ = page.size();
    path_.push_back({std::move(page), 0});
  } else {
    ETCDPP_TRY(push(root_));
  }
  for (;;) {
    Step& step = path_.back();
    step.at = step.page.lower_bound(first);
    if (!step.page.is_branch()) break;
    ETCDPP_TRY(push(step.page.child(step.at)));
  }
  ETCDPP_TRY(check_depth());
  if (at_leaf() < leaf().count()) return true;
  return climb();
}

base::Result<bool> Cursor::next() {
  if (path_.empty()) return false;
  key_before_.assign(key());
  has_key_before_ = true;
  if (++path_.back().at >= leaf().count()) {
    ETCDPP_ASSIGN(const bool there, climb());
    if (!there) return false;
  }
  if (has_key_before_ && key() <= key_before_) return pages_.damaged(page(), offset(), "has keys out of order");
  return true;
}

base::Result<bool> Cursor::climb() {
  for (;;) {
    pop();
    while (!path_.empty() && ++path_.back().at >= path_.back().page.count()) pop();
    if (path_.empty()) return false;
    while (path_.back().page.is_branch()) ETCDPP_TRY(push(path_.back().page.child(path_.back().at)));
    ETCDPP_TRY(check_depth());
    // Leaves may be empty.
    if (at_leaf() < leaf().count()) return true;
  }
}

}  // namespace etcdpp::bolt
