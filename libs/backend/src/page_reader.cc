// LMDB 0.9, 64 bits; PageView says what branches and leaves are. An overflow page has its page count (4) in the place of
// lower and upper. Pages 0 and 1 are the metas, written in turn: page n by the transactions with txnid % 2 == n.

#include <etcdpp/backend/page_reader.h>

#include <cstring>

#include <etcdpp/backend/errc.h>

#include "page.h"
#include "page_reader_page.h"

namespace etcdpp::backend {

namespace {

// A chunk of a scan: small enough to be read between two commits of a busy member.
constexpr std::size_t kChunkRows = 4'096;
constexpr std::size_t kChunkBytes = 2u << 20;
constexpr int kChunkTries = 50;

}  // namespace

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
