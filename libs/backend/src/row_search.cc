#include "row_search.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "environment.h"
#include "mapped_page.h"
#include "row_format.h"

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

// The same of the node of a branch, if the branch is full and its children hold as many revisions each.
[[gnu::always_inline]] inline void prefetch_child(const char* page, std::size_t page_size, const Span& span, std::uint64_t number, std::size_t node_size) {
  __builtin_prefetch(page);
  if (!span.low || !span.high || number < *span.low || number >= *span.high) return;
  const std::size_t count = (page_size - kPageHead) / (node_size + sizeof(std::uint16_t));
  const auto at = static_cast<std::size_t>(static_cast<double>(number - *span.low) / static_cast<double>(*span.high - *span.low) * static_cast<double>(count));
  __builtin_prefetch(page + kPageHead + at * sizeof(std::uint16_t));
  __builtin_prefetch(page + page_size - (at + 1) * node_size);
  __builtin_prefetch(page + page_size - at * node_size - 1);
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

// One search on its way from the root to a leaf.
class Descent {
 public:
  void begin(const TreeRoot& root, base::BytesView row_key, std::size_t expected_size) {
    number_ = root.page;
    row_key_ = row_key;
    stored_size_ = expected_size > 0 ? expected_size + kTrailerSize : 0;
    span_ = {};
    stored_.reset();
  }

  // Looks at its next page, the `depth`th from the root of a tree of `deepest`.
  base::Result<> step(const Environment& environment, unsigned depth, unsigned deepest) {
    PageView page;
    if (const char* wrong = look_at(environment.map(), number_, page)) [[unlikely]]
      return damaged_page(environment, number_, wrong);
    if (page.is_branch() != (depth < deepest)) return damaged_page(environment, number_, "is at the wrong depth");
    NodeSearch search(page, row_key_);
    if (!search.run(span_)) return damaged_page(environment, number_, search.wrong());
    const auto at = static_cast<std::size_t>(search.at());
    if (!page.is_branch()) {
      if (!search.exact()) return {};
      ETCDPP_ASSIGN(stored_, value_of(environment, page, at));
      return {};
    }
    span_ = search.span_of_child(span_);
    const char* wrong = search.wrong() ? search.wrong() : page.check_node(at);
    if (wrong) return damaged_page(environment, number_, wrong);
    number_ = page.child(at);
    return {};
  }

  // Asks for the page that the next step looks at.
  void prefetch(const MappedFile& map, bool leaf) const {
    const std::uint64_t number = number_of(row_key_);
    if (leaf && stored_size_ > 0)
      prefetch_row(map.page(number_), map.page_size(), span_, number, PageView::node_size(row_key_.size(), stored_size_));
    else
      prefetch_child(map.page(number_), map.page_size(), span_, number, PageView::node_size(row_key_.size(), 0));
  }

  const std::optional<base::BytesView>& stored() const { return stored_; }

 private:
  std::uint64_t number_ = kNoPage;
  base::BytesView row_key_;
  std::size_t stored_size_ = 0;  // 0: not known
  Span span_;
  std::optional<base::BytesView> stored_;
};

// So many at a time: more would want more lines of memory than a processor fetches at once.
constexpr std::size_t kSideBySide = 32;

base::Result<const TreeRoot*> rows_of(const Environment& environment, Reader& reader) {
  if (const std::uint64_t snapshot = mdb_txn_id(reader.transaction); reader.rows_of != snapshot) {
    ETCDPP_ASSIGN(reader.rows, mapped_root(environment, reader.transaction, "key"));
    reader.rows_of = snapshot;
  }
  return &reader.rows;
}

}  // namespace

base::Result<std::optional<base::BytesView>> find_row(const Environment& environment, Reader& reader, base::BytesView row_key,
                                                     std::size_t expected_size) {
  ETCDPP_ASSIGN(const TreeRoot* root, rows_of(environment, reader));
  Descent descent;
  descent.begin(*root, row_key, expected_size);
  if (root->page == kNoPage) return descent.stored();
  for (unsigned depth = 1; depth <= root->depth; ++depth) {
    ETCDPP_TRY(descent.step(environment, depth, root->depth));
    if (depth < root->depth) descent.prefetch(environment.map(), depth + 1 == root->depth);
  }
  return descent.stored();
}

base::Result<> find_rows(const Environment& environment, Reader& reader, std::span<RowLookup> lookups) {
  ETCDPP_ASSIGN(const TreeRoot* root, rows_of(environment, reader));
  for (RowLookup& lookup : lookups) lookup.value.reset();
  if (root->page == kNoPage) return {};
  std::array<Descent, kSideBySide> descents;
  for (; !lookups.empty(); lookups = lookups.subspan(std::min(lookups.size(), descents.size()))) {
    const std::size_t n = std::min(lookups.size(), descents.size());
    for (std::size_t i = 0; i < n; ++i)
      descents[i].begin(*root, lookups[i].row_key, lookups[i].expected_size);
    for (unsigned depth = 1; depth <= root->depth; ++depth) {
      for (std::size_t i = 0; i < n; ++i) ETCDPP_TRY(descents[i].step(environment, depth, root->depth));
      // In a loop of its own: each waits for the page's place in memory, and close to each other they do that together too.
      if (depth < root->depth)
        for (std::size_t i = 0; i < n; ++i) descents[i].prefetch(environment.map(), depth + 1 == root->depth);
    }
    for (std::size_t i = 0; i < n; ++i) lookups[i].value = descents[i].stored();
  }
  return {};
}

}  // namespace etcdpp::backend
