#include <etcdpp/bolt/verify.h>

#include <algorithm>
#include <vector>

#include <etcdpp/bolt/errc.h>

#include "free_list.h"

namespace etcdpp::bolt {

namespace {

// Keys that a page may hold: not below `from`, below `below` if there is one.
struct Bounds {
  base::BytesView from;
  std::optional<base::BytesView> below;
};

class Walk {
 public:
  explicit Walk(const Reader& reader)
      : pages_(reader.pages()),
        meta_(reader.meta()),
        pages_in_file_(reader.file_size() / meta_.page_size),
        reached_(std::min(meta_.pages, pages_in_file_), false) {}

  base::Result<Verdict> run(const Reader& reader) {
    verdict_.pages = meta_.pages;
    for (std::size_t i = 0; i < 2; ++i)
      if (!reader.metas()[i]) problem(i, i * meta_.page_size + kPageHead, "the meta is not whole: magic, version or checksum is wrong");
    if (reader.metas()[0] && reader.metas()[1]) check_metas(*reader.metas()[0], *reader.metas()[1]);
    if (meta_.pages < 3) problem(0, kPageHead + 40, "the meta counts " + std::to_string(meta_.pages) + " pages, fewer than a database has");
    if (pages_in_file_ < meta_.pages)
      problem(pages_in_file_, pages_in_file_ * meta_.page_size,
              "the file ends here, and the database has " + std::to_string(meta_.pages) + " pages: it has been truncated");
    for (std::size_t i = 0; i < std::min<std::size_t>(2, reached_.size()); ++i) mark(i);
    ETCDPP_TRY(walk_tree(meta_.root, true));
    for (const Bucket& bucket : buckets_) {
      ++verdict_.buckets;
      if (bucket.root == 0) {
        check_inline(bucket);
      } else {
        ETCDPP_TRY(walk_tree(bucket.root, false));
      }
    }
    ETCDPP_TRY(check_free_list());
    verdict_.free_pages = meta_.pages - std::min(meta_.pages, verdict_.reached_pages);
    return std::move(verdict_);
  }

 private:
  void problem(std::uint64_t page, std::uint64_t offset, std::string what) {
    if (++verdict_.problem_count <= Verdict::kMostProblems) verdict_.problems.push_back({page, offset, std::move(what)});
  }
  void problem_in(std::uint64_t page, std::size_t offset_in_page, std::string what) {
    problem(page, page * meta_.page_size + offset_in_page, std::move(what));
  }
  void mark(std::uint64_t page) {
    reached_[page] = true;
    ++verdict_.reached_pages;
  }

  // A snapshot's metas are numbered t and t-1, a fresh database's 0 and 1, others follow each other.
  void check_metas(const Meta& first, const Meta& second) {
    if (std::max(first.transaction, second.transaction) - std::min(first.transaction, second.transaction) > 1)
      problem(first.transaction < second.transaction ? 0 : 1, 0, "the metas are of transactions " + std::to_string(first.transaction) + " and " +
                    std::to_string(second.transaction) + ", which do not follow each other");
  }

  // Marks `count` pages from `number` on; false when they are no place for a page.
  bool reach(std::uint64_t number, std::uint64_t count, std::uint64_t from) {
    if (number < 2 || number >= meta_.pages || count > meta_.pages - number) {
      problem_in(from, 0, "points to page " + std::to_string(number) + ", which is not among the database's");
      return false;
    }
    if (number + count > reached_.size()) {
      problem_in(number, 0, "is beyond the end of the file");
      return false;
    }
    for (std::uint64_t n = number; n < number + count; ++n) {
      if (reached_[n]) {
        problem_in(n, 0, "is reached twice, again from page " + std::to_string(from));
        return false;
      }
    }
    for (std::uint64_t n = number; n < number + count; ++n) mark(n);
    return true;
  }

  base::Result<> walk_tree(std::uint64_t root, bool of_buckets) {
    of_buckets_ = of_buckets;
    has_last_ = false;
    bytes_held_ = 0;
    leaf_depth_ = 0;
    return descend(root, {}, 0, 0);
  }

  base::Result<> descend(std::uint64_t number, Bounds bounds, std::uint64_t parent, std::size_t depth) {
    if (depth >= kDeepestTree) {
      problem_in(number, 0, "is deeper than a tree can be");
      return {};
    }
    if (!reach(number, 1, parent)) return {};
    auto read = pages_.read_head_checked(number, Reader::kMostBytesHeld - bytes_held_);
    if (!read) {
      if (read.error().code != make_error_code(Errc::kDamaged) && read.error().code != make_error_code(Errc::kTooLarge)) return read.error();
      problem_in(number, 0, after_page(read.error().context));
      return {};
    }
    const Page page = std::move(*read);
    if (page.overflow() > 0 && !reach(number + 1, page.overflow(), number)) return {};
    if (page.is_leaf()) {
      if (leaf_depth_ == 0) leaf_depth_ = depth + 1;
      if (leaf_depth_ != depth + 1) problem_in(number, 0, "is a leaf at another depth than those before it");
    }
    bytes_held_ += page.size();
    for (std::size_t i = 0; i < page.count(); ++i) {
      if (const auto fault = page.check_element(i)) {
        problem_in(number, fault->offset, fault->what);
        continue;
      }
      check_key(page, i, bounds);
      if (page.is_branch()) {
        Bounds below{page.key(i), bounds.below};
        if (i + 1 < page.count() && !page.check_element(i + 1)) below.below = page.key(i + 1);
        // last_ goes on through the child; a separator is not a key.
        ETCDPP_TRY(descend(page.child(i), below, number, depth + 1));
      } else {
        check_row(page, i);
      }
    }
    bytes_held_ -= page.size();
    return {};
  }

  void check_key(const Page& page, std::size_t i, const Bounds& bounds) {
    const base::BytesView key = page.key(i);
    const std::size_t offset = Page::element_offset(i);
    if (key.size() > 32'768) problem_in(page.number(), offset, "has a key longer than a key can be");
    if (key < bounds.from) problem_in(page.number(), offset, "has a key below that of its branch");
    if (bounds.below && key >= *bounds.below) problem_in(page.number(), offset, "has a key that belongs behind it");
    if (i > 0 && !page.check_element(i - 1) && key <= page.key(i - 1)) problem_in(page.number(), offset, "has keys out of order");
    if (page.is_branch()) return;
    if (key.empty()) problem_in(page.number(), offset, "has an empty key");
    if (i == 0 && has_last_ && key <= last_) problem_in(page.number(), offset, "has a key that is not above those before it");
    if (i + 1 == page.count()) {
      last_.assign(key);
      has_last_ = true;
    }
  }

  void check_row(const Page& page, std::size_t i) {
    const std::size_t offset = Page::element_offset(i);
    if (page.is_bucket(i) != of_buckets_) {
      problem_in(page.number(), offset, of_buckets_ ? "has a row among the buckets" : "has a bucket among the rows");
      return;
    }
    if (!of_buckets_) {
      ++verdict_.rows;
      return;
    }
    auto bucket = decode_bucket(page.key(i), page.value(i));
    if (!bucket) {
      problem_in(page.number(), offset, "has a bucket of the wrong length");
    } else if (buckets_.size() >= Reader::kMostBuckets) {
      problem_in(page.number(), offset, "has more buckets than are looked at");
    } else {
      buckets_.push_back(std::move(*bucket));
      places_.push_back({page.number(), page.number() * meta_.page_size + offset});
    }
  }

  void check_inline(const Bucket& bucket) {
    const auto [page_number, offset] = places_[static_cast<std::size_t>(&bucket - buckets_.data())];
    const auto wrong = [&](const char* what) { problem(page_number, offset, "bucket " + base::printable(bucket.name) + ": its inline page " + what); };
    const Page page{base::BytesView(bucket.inline_page)};
    if (const auto fault = page.check()) return wrong(fault->what);
    if (!page.is_leaf()) return wrong("is a branch");
    for (std::size_t i = 0; i < page.count(); ++i) {
      if (page.key(i).empty()) wrong("has an empty key");
      if (i > 0 && page.key(i) <= page.key(i - 1)) wrong("has keys out of order");
      if (page.is_bucket(i)) wrong("has a bucket among the rows");
      ++verdict_.rows;
    }
  }

  base::Result<> check_free_list() {
    if (!meta_.free_list) return {};
    const std::uint64_t number = *meta_.free_list;
    if (!reach(number, 1, 0)) return {};
    ETCDPP_ASSIGN(const auto list, FreeList::open(pages_, number));
    if (!list) {
      problem_in(number, 0, "is not the free list that the meta points to");
      return {};
    }
    if (list->overflow() > 0 && !reach(number + 1, list->overflow(), number)) return {};
    std::vector<bool> free(reached_.size(), false);
    std::uint64_t before = 0;
    ETCDPP_ASSIGN(const auto fault, list->each([&](std::uint64_t id, std::size_t offset) {
      if (id < 2 || id >= meta_.pages) problem_in(number, offset, "lists page " + std::to_string(id) + ", which is not among the database's");
      else if (id <= before) problem_in(number, offset, "lists page " + std::to_string(id) + " twice or out of order");
      else if (id < reached_.size() && reached_[id]) problem_in(id, 0, "is in use, and free by the free list");
      else if (id < free.size()) free[id] = true;
      before = std::max(before, id);
    }));
    if (fault) {
      problem_in(number, fault->offset, fault->what);
      return {};
    }
    for (std::uint64_t id = 2; id < reached_.size(); ++id)
      if (!reached_[id] && !free[id]) problem_in(id, 0, "is neither in use nor free by the free list");
    return {};
  }

  // "… (byte 12) what" → "what": the place stands beside it already.
  static std::string after_page(const std::string& context) {
    const std::size_t at = context.rfind(") ");
    return at == std::string::npos ? context : context.substr(at + 2);
  }

  const PageFile& pages_;
  const Meta meta_;
  const std::uint64_t pages_in_file_;
  std::vector<bool> reached_;
  Verdict verdict_;
  std::vector<Bucket> buckets_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> places_;
  bool of_buckets_ = false;
  std::uint64_t bytes_held_ = 0;
  std::size_t leaf_depth_ = 0;  // 0: no leaf met yet
  base::Bytes last_;
  bool has_last_ = false;
};

}  // namespace

base::Result<Verdict> verify(Reader& reader) {
  constexpr int kTries = 5;
  for (int tries = 1;; ++tries) {
    ETCDPP_ASSIGN(Verdict verdict, Walk(reader).run(reader));
    ETCDPP_ASSIGN(const bool still, reader.in_place());
    if (still || tries == kTries) {
      verdict.overtaken = !still;
      return verdict;
    }
    ETCDPP_TRY(reader.read_metas());
  }
}

}  // namespace etcdpp::bolt
