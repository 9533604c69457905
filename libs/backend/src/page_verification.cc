#include <algorithm>
#include <cstring>

#include <etcdpp/backend/errc.h>
#include <etcdpp/backend/page_reader.h>

#include "page.h"
#include "page_reader_page.h"

namespace etcdpp::backend {

namespace {

// What one transaction of LMDB can hold in memory, and so leave unwritten at the end of the file.
constexpr std::uint64_t kPagesNotWritten = 1u << 20;

}  // namespace

// One walk over everything, with a mark for each page.
class PageReader::Verifier {
 public:
  Verifier(PageReader& reader, const RowCheck& check_row, const RowVisit& visit_row)
      : reader_(reader), check_row_(check_row), visit_row_(visit_row), reached_(reader.pages(), false) {
    reached_[0] = reached_[1] = true;
  }

  base::Result<> run() {
    ETCDPP_TRY(walk(reader_.meta_.trees[1], Kind::kMain, {}));
    ETCDPP_TRY(walk(reader_.meta_.trees[0], Kind::kFree, {}));
    // LMDB loses no page: what no tree has is on the free list.
    const auto lost = std::find(reached_.begin(), reached_.end(), false);
    if (lost != reached_.end())
      return reader_.damaged(static_cast<std::uint64_t>(lost - reached_.begin()), "is neither in a tree nor on the free list");
    return {};
  }

 private:
  enum class Kind { kFree, kMain, kRows };
  // What is counted while one tree is walked.
  struct Walk {
    const Tree& tree;
    Kind kind;
    base::BytesView name;
    std::uint64_t entries = 0;
    std::uint64_t branch_pages = 0;
    std::uint64_t leaf_pages = 0;
    std::uint64_t overflow_pages = 0;
    base::Bytes last_key{};
  };

  base::Result<> reach(std::uint64_t number, std::uint64_t from) {
    if (number >= reached_.size()) return reader_.damaged(from, "points to page " + std::to_string(number) + " beyond the last");
    if (reached_[number]) return reader_.damaged(number, "is reached twice");
    reached_[number] = true;
    return {};
  }

  base::Result<> walk(const Tree& tree, Kind kind, base::BytesView name) {
    Walk walk{.tree = tree, .kind = kind, .name = name};
    const std::uint64_t where = tree.root == kNoPage ? 0 : tree.root;
    // The free list's also say that the file stands alone, not in a directory.
    const auto flags = static_cast<std::uint16_t>(kind == Kind::kFree ? tree.flags & ~kStandsAlone : tree.flags);
    if (flags != (kind == Kind::kFree ? kIntegerKey : 0)) return reader_.damaged(where, "is the root of a tree of an unknown kind");
    if (tree.pad != (kind == Kind::kFree ? reader_.page_size_ : 0)) return reader_.damaged(where, "is the root of a tree with a wrong head");
    if (tree.depth > kDeepestTree) return reader_.damaged(where, "is deeper than a tree can be");
    if (tree.root != kNoPage) {
      ETCDPP_TRY(descend(walk, tree.root, 1, {}, {}, 0));
    } else if (tree.depth != 0) {
      return reader_.damaged(where, "has a tree with a depth and without a root");
    }
    if (walk.entries != tree.entries) return reader_.damaged(where, "is the root of a tree whose number of rows is wrong");
    if (walk.branch_pages != tree.branch_pages || walk.leaf_pages != tree.leaf_pages || walk.overflow_pages != tree.overflow_pages)
      return reader_.damaged(where, "is the root of a tree whose number of pages is wrong");
    return {};
  }

  base::Result<> descend(Walk& walk, std::uint64_t number, unsigned depth, base::BytesView from, base::BytesView below, std::uint64_t parent) {
    ETCDPP_TRY(reach(number, parent));
    if (depth >= walk.tree.depth) return leaf(walk, number, from, below);
    ETCDPP_ASSIGN(const Page page, reader_.read_page(number));
    if (!page.is_branch()) return reader_.damaged(number, "is at the wrong depth");
    ++walk.branch_pages;
    for (std::size_t i = 0; i < page.count(); ++i) {
      const base::BytesView low = i == 0 ? from : page.key(i);
      const base::BytesView high = i + 1 < page.count() ? page.key(i + 1) : below;
      ETCDPP_TRY(descend(walk, page.child(i), depth + 1, low, high, number));
    }
    return {};
  }

  base::Result<> leaf(Walk& walk, std::uint64_t number, base::BytesView from, base::BytesView below) {
    if (walk.kind == Kind::kMain) {
      // Other leaves are read while this one is in use.
      ETCDPP_ASSIGN(const Page page, reader_.read_page(number));
      return check_leaf(walk, page, from, below);
    }
    ETCDPP_ASSIGN(const PageView page, look_at(number));
    return check_leaf(walk, page, from, below);
  }

  base::Result<> check_leaf(Walk& walk, const PageView& page, base::BytesView from, base::BytesView below) {
    const std::uint64_t number = page.number();
    if (page.is_branch()) return reader_.damaged(number, "is at the wrong depth");
    ++walk.leaf_pages;
    if (walk.kind == Kind::kFree) {
      for (std::size_t i = 0; i < page.count(); ++i) {
        ETCDPP_TRY(check_free_key(walk, number, page.key(i)));
        ETCDPP_TRY(check_value(walk, page, i));
      }
      return {};
    }
    base::BytesView before = walk.last_key;
    bool first = walk.entries == 0;
    for (std::size_t i = 0; i < page.count(); ++i) {
      const base::BytesView key = page.key(i);
      if (!first && key <= before) return reader_.damaged(number, "has keys out of order");
      if (key < from || (!below.empty() && key >= below)) return reader_.damaged(number, "has a key outside of its branch");
      ETCDPP_TRY(check_value(walk, page, i));
      before = key;
      first = false;
    }
    walk.entries += page.count();
    walk.last_key.assign(before);
    return {};
  }

  // The free list's keys are transactions' numbers; their bytes reversed compare alike.
  base::Result<> check_free_key(Walk& walk, std::uint64_t number, base::BytesView key) {
    if (key.size() != 8) return reader_.damaged(number, "has a key of the wrong size in the free list");
    if (base::get_le64(key.data()) > reader_.meta_.transaction) return reader_.damaged(number, "has pages freed in the future");
    const base::Bytes reversed(key.rbegin(), key.rend());
    if (walk.entries > 0 && reversed <= walk.last_key) return reader_.damaged(number, "has keys out of order");
    walk.last_key = reversed;
    ++walk.entries;
    return {};
  }

  base::Result<> check_value(Walk& walk, const PageView& page, std::size_t i) {
    base::BytesView value = page.value(i);
    const std::uint16_t flags = page.node_flags(i);
    if (flags & kBigData) {
      const std::uint64_t first = base::get_le64(value.data());
      std::uint64_t count = 0;
      ETCDPP_ASSIGN(room_, reader_.read_overflow(first, page.value_size(i), count));
      for (std::uint64_t n = first; n < first + count; ++n) ETCDPP_TRY(reach(n, page.number()));
      walk.overflow_pages += count;
      value = room_;
    }
    switch (walk.kind) {
      case Kind::kFree: return check_free_pages(page.number(), value);
      case Kind::kMain: {
        if (flags != kSubTree || value.size() != kTreeRecordSize)
          return reader_.damaged(page.number(), "has something else than a tree in the main tree");
        const Tree tree = parse_tree(value.data());
        return this->walk(tree, Kind::kRows, page.key(i));
      }
      case Kind::kRows:
        if (flags & ~kBigData) return reader_.damaged(page.number(), "has a row of an unknown kind");
        if (check_row_ && !check_row_(walk.name, page.key(i), value))
          return reader_.damaged(page.number(), "has a wrong checksum in row " + base::hex(page.key(i)) + " of tree " + std::string(walk.name));
        if (visit_row_) visit_row_(walk.name, page.number(), page.key(i), value);
        return {};
    }
    return {};
  }

  base::Result<> check_free_pages(std::uint64_t number, base::BytesView list) {
    base::Result<> reached;
    const char* wrong = check_free_list(list, [&](std::uint64_t page) {
      reached = reach(page, number);
      return reached.has_value();
    });
    ETCDPP_TRY(reached);
    if (wrong) return reader_.damaged(number, wrong);
    return {};
  }

  // A leaf, until the next one: most stand in the file as in the tree, so where one was found behind the one before it,
  // more are read at once. A page that nobody asked for may be unreadable.
  base::Result<PageView> look_at(std::uint64_t number) {
    if (number < 2 || number > reader_.meta_.last_page) return reader_.damaged(number, "is outside of the file's pages");
    if (number - window_first_ >= window_pages_) {
      const bool near = number - window_first_ - window_pages_ < kNear;
      run_ = std::min({near ? 2 * run_ : 1, kLongestRun, reader_.meta_.last_page - number + 1});
      auto read = read_run(number);
      if (!read && run_ > 1) {
        run_ = 1;
        read = read_run(number);
      }
      ETCDPP_TRY(read);
    }
    PageView page(number, base::BytesView(window_).substr((number - window_first_) * reader_.page_size_, reader_.page_size_));
    if (const char* wrong = page.check()) return reader_.damaged(number, wrong);
    return page;
  }

  base::Result<> read_run(std::uint64_t number) {
    window_.resize(kLongestRun * reader_.page_size_);
    window_pages_ = 0;
    ETCDPP_ASSIGN(const std::size_t got, reader_.file_->read_at(number * reader_.page_size_, window_.data(), run_ * reader_.page_size_));
    if (got < reader_.page_size_) return reader_.damaged(number, "is beyond the end of the file: it has been truncated");
    window_first_ = number;
    window_pages_ = got / reader_.page_size_;
    return {};
  }

  static constexpr std::uint64_t kNear = 16;
  static constexpr std::uint64_t kLongestRun = 64;

  PageReader& reader_;
  const RowCheck& check_row_;
  const RowVisit& visit_row_;
  std::vector<bool> reached_;
  base::Bytes room_;  // a value on pages of its own
  base::Bytes window_;
  std::uint64_t window_first_ = 0;
  std::uint64_t window_pages_ = 0;
  std::uint64_t run_ = 1;
};

base::Result<> PageReader::verify_metas() {
  if (!both_metas_) return base::Error(Errc::kDamaged, path() + ": one of the two meta pages is not whole");
  const std::optional<Meta> metas[] = {read_meta(0), read_meta(page_size_)};
  for (std::uint64_t page : {0, 1}) {
    if (!metas[page]) return damaged(page, "is no meta page");
    // Each transaction writes the page that the one before it has not; only a file nobody has written to has two equal ones.
    const std::uint64_t mine = metas[page]->transaction, other = metas[1 - page] ? metas[1 - page]->transaction : 0;
    if (mine != 0 && mine % 2 != page) return damaged(page, "is the meta page of a transaction that does not write it");
    if (mine > other + 1 || other > mine + 1 || (mine == other && mine != 0)) return damaged(page, "is the meta page of a wrong transaction");
  }
  return {};
}

base::Result<> PageReader::verify(const RowCheck& check_row, const RowVisit& visit_row) {
  ETCDPP_TRY(verify_metas());
  ETCDPP_ASSIGN(const std::uint64_t file_size, file_->size());
  // LMDB need not have written its last pages (freed in the transaction that made them), but never this few.
  if (file_size / page_size_ < 2) return damaged(1, "is beyond the end of the file: it has been truncated");
  if (pages() > file_size / page_size_ + kPagesNotWritten) return damaged(0, "claims more pages than the file has");
  return Verifier(*this, check_row, visit_row).run();
}

}  // namespace etcdpp::backend
