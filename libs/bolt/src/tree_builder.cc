#include "tree_builder.h"

#include <utility>

namespace etcdpp::bolt {

base::Result<std::uint64_t> PageOutput::write(const PageBuilder& page) {
  const std::uint64_t count = (page.size() + page_size_ - 1) / page_size_;
  const std::uint64_t number = std::exchange(next_, next_ + count);
  if (mode_ == Mode::kWriting) {
    room_.clear();
    page.append_page(number, count, page_size_, room_);
    ETCDPP_TRY(sink_(room_));
    // One huge row should not keep its memory.
    if (room_.capacity() > (std::size_t{4} << 20)) base::Bytes().swap(room_);
  }
  return number;
}

TreeBuilder::Level& TreeBuilder::level(std::size_t n) {
  if (n == levels_.size()) levels_.push_back(std::make_unique<Level>(output_.mode(), n == 0 ? kLeafPage : kBranchPage));
  return *levels_[n];
}

base::Result<> TreeBuilder::add(const PageBuilder::Element& element, base::BytesView key, base::BytesView value) {
  return add_at(0, element, key, value);
}

base::Result<> TreeBuilder::add_at(std::size_t n, const PageBuilder::Element& element, base::BytesView key, base::BytesView value) {
  constexpr std::size_t kFewest = 2;
  constexpr std::size_t kMost = 0xFFFE;
  Level& at = level(n);
  if (at.filling.count() >= kFewest && (at.filling.size() + element.bytes() > output_.page_size() || at.filling.count() >= kMost)) {
    if (!at.full.empty()) ETCDPP_TRY(write_up(n, at.full));
    std::swap(at.full, at.filling);
    at.filling.clear();
  }
  at.filling.add(element, key, value);
  return {};
}

base::Result<> TreeBuilder::write_up(std::size_t n, const PageBuilder& page) {
  ETCDPP_ASSIGN(const std::uint64_t number, output_.write(page));
  return add_at(n + 1, {.flags = 0, .key_size = page.first_key_size(), .value_size = 0, .child = number}, page.first_key(), {});
}

const PageBuilder* TreeBuilder::only_page() const {
  if (levels_.size() != 1 || !levels_[0]->full.empty()) return nullptr;
  return &levels_[0]->filling;
}

base::Result<std::uint64_t> TreeBuilder::finish() {
  level(0);
  for (std::size_t n = 0;; ++n) {
    Level& at = *levels_[n];
    if (at.full.empty() && n + 1 == levels_.size()) return output_.write(at.filling);
    if (at.filling.count() == 1 && at.full.count() > 2) at.full.move_last(at.filling);
    if (!at.full.empty()) ETCDPP_TRY(write_up(n, at.full));
    ETCDPP_TRY(write_up(n, at.filling));
  }
}

}  // namespace etcdpp::bolt
