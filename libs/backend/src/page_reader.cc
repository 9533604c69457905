// LMDB 0.9, 64 bits; PageView says what branches and leaves are. An overflow page has its page count (4) in the place of
// lower and upper. Pages 0 and 1 are the metas, written in turn: page n by the transactions with txnid % 2 == n.

#include <etcdpp/backend/page_reader.h>

#include <algorithm>
#include <cstring>

#include <etcdpp/backend/errc.h>

#include "page.h"
#include "page_view.h"

namespace etcdpp::backend {

namespace {

constexpr std::uint32_t kMagic = 0xBEEFC0DE;
constexpr std::uint32_t kVersion = 1;
constexpr std::uint64_t kSmallestPage = 512;
constexpr std::uint64_t kLargestPage = 32768;
constexpr std::size_t kMetaSize = 24 + 2 * kTreeRecordSize + 16;
// A chunk of a scan: small enough to be read between two commits of a busy member.
constexpr std::size_t kChunkRows = 4'096;
constexpr std::size_t kChunkBytes = 2u << 20;
constexpr int kChunkTries = 50;
// What one transaction of LMDB can hold in memory, and so leave unwritten at the end of the file.
constexpr std::uint64_t kPagesNotWritten = 1u << 20;

}  // namespace

// A page and its bytes.
class PageReader::Page : public PageView {
 public:
  Page(std::uint64_t number, base::Bytes bytes) : Page(number, std::make_unique<base::Bytes>(std::move(bytes))) {}

 private:
  Page(std::uint64_t number, std::unique_ptr<base::Bytes> bytes) : PageView(number, *bytes), bytes_(std::move(bytes)) {}
  std::unique_ptr<base::Bytes> bytes_;
};

// A place in a tree: the pages from the root to a leaf.
class PageReader::Cursor {
 public:
  Cursor(PageReader& reader, const Tree& tree) : reader_(reader), tree_(tree) {}

  base::Result<bool> seek(base::BytesView first) {
    path_.clear();
    if (tree_.root == kNoPage) return false;
    std::uint64_t number = tree_.root;
    for (;;) {
      ETCDPP_TRY(push(number));
      auto& [page, at] = path_.back();
      at = page.lower_bound(first);
      if (!page.is_branch()) break;
      number = page.child(at);
    }
    if (path_.back().second < path_.back().first.count()) return true;
    return climb();
  }

  base::Result<bool> next() {
    if (path_.empty()) return false;
    if (++path_.back().second < path_.back().first.count()) return true;
    return climb();
  }

  base::BytesView key() const { return path_.back().first.key(path_.back().second); }

  // The value; a large one is read into `room`.
  base::Result<base::BytesView> value(base::Bytes& room) const {
    const auto& [page, at] = path_.back();
    const base::BytesView in_page = page.value(at);
    if (!(page.node_flags(at) & kBigData)) return in_page;
    std::uint64_t page_count = 0;
    ETCDPP_ASSIGN(room, reader_.read_overflow(base::get_le64(in_page.data()), page.value_size(at), page_count));
    return base::BytesView(room);
  }
  std::uint16_t node_flags() const { return path_.back().first.node_flags(path_.back().second); }

 private:
  base::Result<> push(std::uint64_t number) {
    if (path_.size() >= kDeepestTree) return reader_.damaged(number, "is deeper than a tree can be");
    ETCDPP_ASSIGN(Page page, reader_.read_page(number));
    path_.emplace_back(std::move(page), 0);
    return {};
  }

  // The leaf is used up: to the first node of the next one.
  base::Result<bool> climb() {
    path_.pop_back();
    while (!path_.empty() && ++path_.back().second >= path_.back().first.count()) path_.pop_back();
    if (path_.empty()) return false;
    while (path_.back().first.is_branch()) ETCDPP_TRY(push(path_.back().first.child(path_.back().second)));
    return true;
  }

  PageReader& reader_;
  const Tree tree_;
  std::vector<std::pair<Page, std::size_t>> path_;
};

// One walk over everything, with a mark for each page.
class PageReader::Verifier {
 public:
  Verifier(PageReader& reader, const RowCheck& check_row) : reader_(reader), check_row_(check_row), reached_(reader.pages(), false) {
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
    ETCDPP_ASSIGN(const Page page, reader_.read_page(number));
    if (page.is_branch() != (depth < walk.tree.depth)) return reader_.damaged(number, "is at the wrong depth");
    ++(page.is_branch() ? walk.branch_pages : walk.leaf_pages);
    for (std::size_t i = 0; i < page.count(); ++i) {
      if (page.is_branch()) {
        const base::BytesView low = i == 0 ? from : page.key(i);
        const base::BytesView high = i + 1 < page.count() ? page.key(i + 1) : below;
        ETCDPP_TRY(descend(walk, page.child(i), depth + 1, low, high, number));
        continue;
      }
      ETCDPP_TRY(check_key(walk, number, page.key(i), from, below));
      ETCDPP_TRY(check_value(walk, page, i));
    }
    return {};
  }

  base::Result<> check_key(Walk& walk, std::uint64_t number, base::BytesView key, base::BytesView from, base::BytesView below) {
    // The free list's keys are transactions' numbers; their bytes reversed compare alike.
    base::Bytes reversed;
    if (walk.kind == Kind::kFree) {
      if (key.size() != 8) return reader_.damaged(number, "has a key of the wrong size in the free list");
      if (base::get_le64(key.data()) > reader_.meta_.transaction) return reader_.damaged(number, "has pages freed in the future");
      reversed.assign(key.rbegin(), key.rend());
    }
    const base::BytesView comparable = walk.kind == Kind::kFree ? base::BytesView(reversed) : key;
    if (walk.entries > 0 && comparable <= walk.last_key) return reader_.damaged(number, "has keys out of order");
    if (walk.kind != Kind::kFree && (key < from || (!below.empty() && key >= below)))
      return reader_.damaged(number, "has a key outside of its branch");
    walk.last_key.assign(comparable);
    ++walk.entries;
    return {};
  }

  base::Result<> check_value(Walk& walk, const Page& page, std::size_t i) {
    base::Bytes room;
    base::BytesView value = page.value(i);
    if (page.node_flags(i) & kBigData) {
      const std::uint64_t first = base::get_le64(value.data());
      std::uint64_t count = 0;
      ETCDPP_ASSIGN(room, reader_.read_overflow(first, page.value_size(i), count));
      for (std::uint64_t n = first; n < first + count; ++n) ETCDPP_TRY(reach(n, page.number()));
      walk.overflow_pages += count;
      value = room;
    }
    switch (walk.kind) {
      case Kind::kFree: return check_free_pages(page.number(), value);
      case Kind::kMain: {
        if (page.node_flags(i) != kSubTree || value.size() != kTreeRecordSize)
          return reader_.damaged(page.number(), "has something else than a tree in the main tree");
        const Tree tree = parse_tree(value.data());
        return this->walk(tree, Kind::kRows, page.key(i));
      }
      case Kind::kRows:
        if (page.node_flags(i) & ~kBigData) return reader_.damaged(page.number(), "has a row of an unknown kind");
        if (check_row_ && !check_row_(walk.name, page.key(i), value))
          return reader_.damaged(page.number(), "has a wrong checksum in row " + base::hex(page.key(i)) + " of tree " + std::string(walk.name));
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

  PageReader& reader_;
  const RowCheck& check_row_;
  std::vector<bool> reached_;
};

base::Error PageReader::damaged(std::uint64_t page, const std::string& what) const {
  return base::Error(Errc::kDamaged, path() + ": page " + std::to_string(page) + " " + what);
}

base::Result<std::unique_ptr<PageReader>> PageReader::open(base::Env& env, const std::string& path) {
  ETCDPP_ASSIGN(auto file, env.open(path, base::OpenMode::kReadOnly));
  std::unique_ptr<PageReader> reader(new PageReader(std::move(file)));
  ETCDPP_TRY(reader->read_metas());
  return reader;
}

PageReader::Tree PageReader::parse_tree(const char* bytes) {
  Tree tree;
  std::memcpy(&tree.pad, bytes, 4);
  std::memcpy(&tree.flags, bytes + 4, 2);
  tree.depth = tree_depth(bytes);
  tree.branch_pages = base::get_le64(bytes + 8);
  tree.leaf_pages = base::get_le64(bytes + 16);
  tree.overflow_pages = base::get_le64(bytes + 24);
  tree.entries = tree_entries(bytes);
  tree.root = tree_root(bytes);
  return tree;
}

std::optional<PageReader::Meta> PageReader::read_meta(std::uint64_t offset) {
  char bytes[kPageHead + kMetaSize];
  const auto got = file_->read_at(offset, bytes, sizeof bytes);
  if (!got || *got != sizeof bytes) return std::nullopt;
  std::uint16_t flags;
  std::uint32_t magic, version, page_size;
  std::memcpy(&flags, bytes + 10, 2);
  const char* meta = bytes + kPageHead;
  std::memcpy(&magic, meta, 4);
  std::memcpy(&version, meta + 4, 4);
  std::memcpy(&page_size, meta + 24, 4);
  if (flags != kMetaPage || base::get_le64(bytes) != (offset == 0 ? 0u : 1u) || magic != kMagic || version != kVersion) return std::nullopt;
  if (page_size < kSmallestPage || page_size > kLargestPage || (page_size & (page_size - 1)) != 0) return std::nullopt;
  Meta out;
  out.page_size = page_size;
  out.trees = {parse_tree(meta + 24), parse_tree(meta + 24 + kTreeRecordSize)};
  out.last_page = base::get_le64(meta + 24 + 2 * kTreeRecordSize);
  out.transaction = base::get_le64(meta + 32 + 2 * kTreeRecordSize);
  // A file cannot have more pages than its offsets can say.
  if (out.last_page < 1 || out.last_page > (std::uint64_t{1} << 48)) return std::nullopt;
  return out;
}

base::Result<> PageReader::read_metas() {
  const std::optional<Meta> first = read_meta(0);
  std::optional<Meta> second;
  if (first) {
    second = read_meta(first->page_size);
  } else {
    for (std::uint64_t size = kSmallestPage; size <= kLargestPage && !second; size *= 2) {
      second = read_meta(size);
      if (second && second->page_size != size) second.reset();
    }
  }
  if (!first && !second) return base::Error(Errc::kNotADatabase, path());
  both_metas_ = first && second && first->page_size == second->page_size;
  meta_ = !second || (first && first->transaction > second->transaction) ? *first : *second;
  page_size_ = meta_.page_size;
  return {};
}

base::Result<bool> PageReader::in_place() {
  const Meta mine = meta_;
  ETCDPP_TRY(read_metas());
  const std::uint64_t newest = meta_.transaction;
  meta_ = mine;
  return newest <= mine.transaction + 1;
}

base::Result<PageReader::Page> PageReader::read_page(std::uint64_t number) {
  if (number < 2 || number > meta_.last_page) return damaged(number, "is outside of the file's pages");
  base::Bytes bytes(page_size_, '\0');
  ETCDPP_ASSIGN(const std::size_t got, file_->read_at(number * page_size_, bytes.data(), bytes.size()));
  if (got != bytes.size()) return damaged(number, "is beyond the end of the file: it has been truncated");
  Page page(number, std::move(bytes));
  if (const char* wrong = page.check()) return damaged(number, wrong);
  return page;
}

base::Result<base::Bytes> PageReader::read_overflow(std::uint64_t number, std::uint64_t size, std::uint64_t& page_count) {
  page_count = overflow_pages(size, page_size_);
  if (number < 2 || number > meta_.last_page || page_count > meta_.last_page - number + 1)
    return damaged(number, "is outside of the file's pages");
  char head[kPageHead];
  ETCDPP_ASSIGN(std::size_t got, file_->read_at(number * page_size_, head, sizeof head));
  if (got != sizeof head) return damaged(number, "is beyond the end of the file: it has been truncated");
  if (const char* wrong = check_overflow_head(head, number, page_count)) return damaged(number, wrong);
  // The size is a claim of the file: it gets memory only if the file is that long.
  ETCDPP_ASSIGN(const std::uint64_t file_size, file_->size());
  if (number * page_size_ + kPageHead + size > file_size)
    return damaged(number, "is beyond the end of the file: it has been truncated");
  base::Bytes out(size, '\0');
  ETCDPP_ASSIGN(got, file_->read_at(number * page_size_ + kPageHead, out.data(), out.size()));
  if (got != out.size()) return damaged(number, "is beyond the end of the file: it has been truncated");
  return out;
}

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

base::Result<> PageReader::verify(const RowCheck& check_row) {
  ETCDPP_TRY(verify_metas());
  ETCDPP_ASSIGN(const std::uint64_t file_size, file_->size());
  // LMDB need not have written its last pages (freed in the transaction that made them), but never this few.
  if (file_size / page_size_ < 2) return damaged(1, "is beyond the end of the file: it has been truncated");
  if (pages() > file_size / page_size_ + kPagesNotWritten) return damaged(0, "claims more pages than the file has");
  return Verifier(*this, check_row).run();
}

base::Result<std::optional<PageReader::Tree>> PageReader::find_tree(std::string_view name) {
  Cursor cursor(*this, meta_.trees[1]);
  ETCDPP_ASSIGN(const bool there, cursor.seek(name));
  if (!there || cursor.key() != name) return std::optional<Tree>();
  base::Bytes room;
  ETCDPP_ASSIGN(const base::BytesView record, cursor.value(room));
  if (!(cursor.node_flags() & kSubTree) || record.size() != kTreeRecordSize)
    return damaged(meta_.trees[1].root, "has something else than a tree under the name " + base::printable(name));
  return std::optional(parse_tree(record.data()));
}

base::Result<> PageReader::scan(std::string_view tree_name, base::BytesView first, const Visitor& visit, const Continues& continues) {
  base::Bytes from(first);
  std::vector<std::pair<base::Bytes, base::Bytes>> rows;
  int tries = 0;
  for (bool more = true; more;) {
    rows.clear();
    auto read_chunk = [&]() -> base::Result<bool> {
      ETCDPP_ASSIGN(const auto tree, find_tree(tree_name));
      if (!tree) return false;
      Cursor cursor(*this, *tree);
      base::Bytes room;
      std::size_t bytes = 0;
      auto there = cursor.seek(from);
      for (; there && *there; there = cursor.next()) {
        ETCDPP_ASSIGN(const base::BytesView stored, cursor.value(room));
        if ((rows.size() >= kChunkRows || bytes >= kChunkBytes) && !(continues && continues(cursor.key(), stored))) break;
        rows.emplace_back(cursor.key(), stored);
        bytes += cursor.key().size() + stored.size();
      }
      return there;
    };
    auto chunk = read_chunk();
    ETCDPP_ASSIGN(const bool still, in_place());
    if (!still) {
      // A commit has gone over it. Newer rows are as good: the next try reads them.
      if (++tries > kChunkTries) return base::Error(Errc::kDamaged, path() + ": is being written too fast to be read; take a copy");
      ETCDPP_TRY(read_metas());
      continue;
    }
    ETCDPP_TRY(chunk);
    tries = 0;
    more = *chunk;
    if (more) {
      from = rows.back().first;
      from += '\0';
    }
    for (const auto& [key, stored] : rows) ETCDPP_TRY(visit(key, stored));
  }
  return {};
}

}  // namespace etcdpp::backend
