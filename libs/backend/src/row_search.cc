#include "row_search.h"

#include <algorithm>
#include <limits>
#include <string>

#include "environment.h"
#include "mapped_page.h"

namespace etcdpp::backend {

namespace {

// A key's first eight bytes, which are its main revision.
std::uint64_t number_of(base::BytesView key) {
  if (key.size() >= 8) return base::get_be64(key.data());
  char padded[8] = {};
  key.copy(padded, sizeof padded);
  return base::get_be64(padded);
}

// The numbers that a page's keys lie between, as far as the pages above it tell: low ≤ number ≤ high.
struct Span {
  std::optional<std::uint64_t> low, high;
};

// The search in one page.
class NodeSearch {
 public:
  NodeSearch(const PageView& page, base::BytesView wanted)
      : page_(page), wanted_(wanted), number_(number_of(wanted)), first_(page.is_branch() ? 1 : 0), count_(static_cast<int>(page.count())) {}

  // The last node whose key is ≤ the wanted one; in a branch the child that may hold it. False: the page is damaged.
  bool run(const Span& span) {
    at_ = first_ - 1;
    if (first_ >= count_) return true;
    const int guess = estimate(span);
    if (wrong_) return false;
    // From the guess in steps that double until the place is passed, then by halves.
    int below = first_ - 1;  // its key is ≤ the wanted one, as far as it has one
    int above = count_;      // its key is not
    const int order = compare(guess);
    if (order == 0) return found(guess);
    (order < 0 ? below : above) = guess;
    for (int step = 1; !wrong_ && above - below > 1; step *= 2) {
      int probe = order < 0 ? guess + step : guess - step;
      if (probe <= below || probe >= above) probe = below + (above - below) / 2;
      const int there = compare(probe);
      if (there == 0) return found(probe);
      (there < 0 ? below : above) = probe;
    }
    at_ = below;
    return !wrong_;
  }

  std::uint64_t number() const { return number_; }
  int at() const { return at_; }
  // Whether the key at at() is the wanted one.
  bool exact() const { return exact_; }
  const char* wrong() const { return wrong_; }

  // What the child at at() lies between.
  Span span_of_child(const Span& mine) {
    Span out = mine;
    if (at_ >= 1) out.low = number_at(at_);
    if (at_ + 1 < count_) out.high = number_at(at_ + 1);
    return out;
  }

 private:
  int estimate(const Span& span) {
    const int base = span.low ? 0 : first_;
    const std::uint64_t low = span.low ? *span.low : number_at(base);
    const std::uint64_t high = span.high ? *span.high : number_at(count_ - 1) + 1;
    if (number_ <= low || high <= low) return first_;
    const double share = static_cast<double>(number_ - low) / static_cast<double>(high - low);
    const int nodes = count_ - base;
    return share >= 1 ? count_ - 1 : std::max(first_, base + static_cast<int>(share * nodes));
  }

  std::uint64_t number_at(int i) {
    const base::BytesView key = key_at(i);
    return number_of(key);
  }

  base::BytesView key_at(int i) {
    if (const char* wrong = page_.check_node(static_cast<std::size_t>(i))) {
      wrong_ = wrong;
      return {};
    }
    return page_.key(static_cast<std::size_t>(i));
  }

  int compare(int i) {
    const base::BytesView key = key_at(i);
    const std::uint64_t number = number_of(key);
    if (number != number_) return number < number_ ? -1 : 1;
    return key.compare(wanted_);
  }

  bool found(int at) {
    at_ = at;
    exact_ = true;
    return !wrong_;
  }

  const PageView& page_;
  const base::BytesView wanted_;
  const std::uint64_t number_;
  const int first_;
  const int count_;
  int at_ = 0;
  bool exact_ = false;
  const char* wrong_ = nullptr;
};

// Asks for the lines in which the row lies if all rows of its page are as long and no revision is missing among them.
// (Inlined, because gcc takes a call of a function that does nothing else for one without effect.)
[[gnu::always_inline]] inline void prefetch_row(const char* page, std::size_t page_size, const Span& span, std::uint64_t number, std::size_t node_size) {
  constexpr std::size_t kLine = 64;
  constexpr std::size_t kMost = 8 * kLine;  // from there on the processor sees by itself where the reader goes
  __builtin_prefetch(page);
  if (!span.low || number < *span.low) return;
  const std::size_t behind = (number - *span.low + 1) * node_size;
  if (behind > page_size - kPageHead) return;
  const char* begin = page + page_size - behind;
  for (std::size_t at = 0; at < std::min(node_size, kMost); at += kLine) __builtin_prefetch(begin + at);
  __builtin_prefetch(begin + node_size - 1);
}

base::Result<base::BytesView> value_of(const Environment& environment, const PageView& leaf, std::size_t at) {
  if (!(leaf.node_flags(at) & kBigData)) return leaf.value(at);
  const MappedFile& map = environment.map();
  const std::uint64_t first = base::get_le64(leaf.value(at).data());
  const std::uint64_t size = leaf.value_size(at);
  if (first < 2 || !map.contains(map.page(first)) || !map.contains(map.page(first) + kPageHead + size))
    return damaged_page(environment, leaf.number(), "points to pages outside of the file");
  return base::BytesView(map.page(first) + kPageHead, size);
}

}  // namespace

base::Result<std::optional<base::BytesView>> find_row(const Environment& environment, Reader& reader, base::BytesView row_key,
                                                     std::size_t expected_size) {
  if (const std::uint64_t snapshot = mdb_txn_id(reader.transaction); reader.rows_of != snapshot) {
    ETCDPP_ASSIGN(reader.rows, mapped_root(environment, reader.transaction, "key"));
    reader.rows_of = snapshot;
  }
  std::uint64_t number = reader.rows.page;
  if (number == kNoPage) return std::optional<base::BytesView>();
  const MappedFile& map = environment.map();
  Span span;
  for (unsigned depth = 1;; ++depth) {
    ETCDPP_ASSIGN(const PageView page, mapped_page(environment, number));
    if (page.is_branch() != (depth < reader.rows.depth)) return damaged_page(environment, number, "is at the wrong depth");
    NodeSearch search(page, row_key);
    if (!search.run(span)) return damaged_page(environment, number, search.wrong());
    if (!page.is_branch()) {
      if (!search.exact()) return std::optional<base::BytesView>();
      ETCDPP_ASSIGN(const base::BytesView stored, value_of(environment, page, static_cast<std::size_t>(search.at())));
      return std::optional(stored);
    }
    span = search.span_of_child(span);
    const char* wrong = search.wrong() ? search.wrong() : page.check_node(static_cast<std::size_t>(search.at()));
    if (wrong) return damaged_page(environment, number, wrong);
    number = page.child(static_cast<std::size_t>(search.at()));
    if (expected_size > 0 && depth + 1 == reader.rows.depth)
      prefetch_row(map.page(number), map.page_size(), span, search.number(), PageView::node_size(row_key.size(), expected_size));
  }
}

}  // namespace etcdpp::backend
