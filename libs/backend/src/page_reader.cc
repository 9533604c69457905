// LMDB 0.9, 64 bits. A page begins with number (8), pad (2), flags (2), lower (2), upper (2); an overflow page has its
// page count (4) in the place of lower and upper. Branch and leaf pages: an array of offsets of nodes behind the head, up
// to `lower`, the nodes between `upper` and the end. A node: low (2), high (2), flags (2), key size (2), key, data. In a
// leaf low and high are the data's size; in a branch low, high and flags are the child's page number. Pages 0 and 1 are
// the metas, written in turn.

#include <etcdpp/backend/page_reader.h>

#include <algorithm>
#include <cstring>

#include <etcdpp/backend/errc.h>

#include "page.h"

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

// One page's bytes, with access that never leaves them.
class PageReader::Page {
 public:
  Page(std::uint64_t number, base::Bytes bytes) : number_(number), bytes_(std::move(bytes)) {}

  std::uint64_t number() const { return number_; }
  bool is_branch() const { return (load<std::uint16_t>(10) & kBranchPage) != 0; }
  std::size_t count() const { return count_; }

  // What is wrong with head and offsets, or null.
  const char* check() {
    const std::uint16_t flags = load<std::uint16_t>(10);
    if (load<std::uint64_t>(0) != number_) return "carries another page's number";
    if ((flags & ~kKeepFlags) != kBranchPage && (flags & ~kKeepFlags) != kLeafPage) return "is neither branch nor leaf";
    const std::size_t lower = load<std::uint16_t>(12);
    const std::size_t upper = load<std::uint16_t>(14);
    if (lower < kPageHead || lower % 2 != 0 || lower > upper || upper > bytes_.size()) return "has wrong bounds";
    count_ = (lower - kPageHead) / 2;
    if (count_ == 0) return "is empty";
    for (std::size_t i = 0; i < count_; ++i) {
      const std::size_t at = load<std::uint16_t>(kPageHead + 2 * i);
      if (at < upper || at + kNodeHead > bytes_.size()) return "has a node outside of its bounds";
      const std::size_t key_size = load<std::uint16_t>(at + 6);
      if (at + kNodeHead + key_size > bytes_.size()) return "has a key outside of its bounds";
      if (is_branch()) continue;
      const std::size_t in_page = (load<std::uint16_t>(at + 4) & kBigData) ? 8 : data_size(at);
      if (at + kNodeHead + key_size + in_page > bytes_.size()) return "has a value outside of its bounds";
    }
    return nullptr;
  }

  base::BytesView key(std::size_t i) const {
    const std::size_t at = node(i);
    return base::BytesView(bytes_).substr(at + kNodeHead, load<std::uint16_t>(at + 6));
  }
  std::uint64_t child(std::size_t i) const {
    const std::size_t at = node(i);
    return load<std::uint16_t>(at) | std::uint64_t{load<std::uint16_t>(at + 2)} << 16 |
           std::uint64_t{load<std::uint16_t>(at + 4)} << 32;
  }
  std::uint16_t node_flags(std::size_t i) const { return load<std::uint16_t>(node(i) + 4); }
  std::uint64_t value_size(std::size_t i) const { return data_size(node(i)); }
  // The value in the page; of one on overflow pages, their first number.
  base::BytesView value(std::size_t i) const {
    const std::size_t at = node(i);
    const std::size_t size = (node_flags(i) & kBigData) ? 8 : data_size(at);
    return base::BytesView(bytes_).substr(at + kNodeHead + load<std::uint16_t>(at + 6), size);
  }

  // First node with key ≥ `wanted`; in a branch the child that may hold it.
  std::size_t lower_bound(base::BytesView wanted) const {
    // A branch's first key is not stored: it stands for everything below the second.
    std::size_t low = is_branch() ? 1 : 0;
    std::size_t high = count_;
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      const bool before = is_branch() ? key(middle) <= wanted : key(middle) < wanted;
      if (before) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return is_branch() ? low - 1 : low;
  }

 private:
  template <typename T>
  T load(std::size_t at) const {
    T v;
    std::memcpy(&v, bytes_.data() + at, sizeof v);
    return v;
  }
  std::size_t node(std::size_t i) const { return load<std::uint16_t>(kPageHead + 2 * i); }
  std::uint64_t data_size(std::size_t at) const {
    return load<std::uint16_t>(at) | std::uint64_t{load<std::uint16_t>(at + 2)} << 16;
  }

  std::uint64_t number_;
  base::Bytes bytes_;
  std::size_t count_ = 0;
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
  explicit Verifier(PageReader& reader) : reader_(reader), reached_(reader.pages(), false) {
    reached_[0] = reached_[1] = true;
  }

  base::Result<> run() {
    ETCDPP_TRY(walk(reader_.meta_.trees[1], Kind::kMain));
    ETCDPP_TRY(walk(reader_.meta_.trees[0], Kind::kFree));
    return {};
  }

 private:
  enum class Kind { kFree, kMain, kRows };

  base::Result<> reach(std::uint64_t number, std::uint64_t from) {
    if (number >= reached_.size()) return reader_.damaged(from, "points to page " + std::to_string(number) + " beyond the last");
    if (reached_[number]) return reader_.damaged(number, "is reached twice");
    reached_[number] = true;
    return {};
  }

  base::Result<> walk(const Tree& tree, Kind kind) {
    if (tree.root == kNoPage) return {};
    if (tree.depth > kDeepestTree) return reader_.damaged(tree.root, "is deeper than a tree can be");
    entries_ = 0;
    last_key_.clear();
    ETCDPP_TRY(descend(tree.root, 1, tree.depth, kind, {}, {}, 0));
    if (entries_ != tree.entries) return reader_.damaged(tree.root, "is the root of a tree whose number of rows is wrong");
    return {};
  }

  base::Result<> descend(std::uint64_t number, unsigned depth, unsigned leaf_depth, Kind kind, base::BytesView from,
                         base::BytesView below, std::uint64_t parent) {
    ETCDPP_TRY(reach(number, parent));
    ETCDPP_ASSIGN(const Page page, reader_.read_page(number));
    if (page.is_branch() != (depth < leaf_depth)) return reader_.damaged(number, "is at the wrong depth");
    for (std::size_t i = 0; i < page.count(); ++i) {
      if (page.is_branch()) {
        const base::BytesView low = i == 0 ? from : page.key(i);
        const base::BytesView high = i + 1 < page.count() ? page.key(i + 1) : below;
        ETCDPP_TRY(descend(page.child(i), depth + 1, leaf_depth, kind, low, high, number));
        continue;
      }
      const base::BytesView key = page.key(i);
      ETCDPP_TRY(check_key(number, key, kind, from, below));
      ETCDPP_TRY(check_value(page, i, kind));
    }
    return {};
  }

  base::Result<> check_key(std::uint64_t number, base::BytesView key, Kind kind, base::BytesView from, base::BytesView below) {
    // The free list's keys are numbers; their bytes reversed compare alike.
    base::Bytes reversed;
    if (kind == Kind::kFree) {
      if (key.size() != 8) return reader_.damaged(number, "has a key of the wrong size in the free list");
      reversed.assign(key.rbegin(), key.rend());
    }
    const base::BytesView comparable = kind == Kind::kFree ? base::BytesView(reversed) : key;
    if (entries_ > 0 && comparable <= last_key_) return reader_.damaged(number, "has keys out of order");
    if (kind != Kind::kFree && (key < from || (!below.empty() && key >= below)))
      return reader_.damaged(number, "has a key outside of its branch");
    last_key_.assign(comparable);
    ++entries_;
    return {};
  }

  base::Result<> check_value(const Page& page, std::size_t i, Kind kind) {
    base::Bytes room;
    base::BytesView value = page.value(i);
    if (page.node_flags(i) & kBigData) {
      const std::uint64_t first = base::get_le64(value.data());
      std::uint64_t count = 0;
      ETCDPP_ASSIGN(room, reader_.read_overflow(first, page.value_size(i), count));
      for (std::uint64_t n = first; n < first + count; ++n) ETCDPP_TRY(reach(n, page.number()));
      value = room;
    }
    if (kind == Kind::kFree) return check_free_pages(page.number(), value);
    if (kind == Kind::kMain) {
      if (!(page.node_flags(i) & kSubTree) || value.size() != kTreeRecordSize)
        return reader_.damaged(page.number(), "has something else than a tree in the main tree");
      const std::uint64_t entries = entries_;
      const base::Bytes last_key = last_key_;
      ETCDPP_TRY(walk(parse_tree(value.data()), Kind::kRows));
      entries_ = entries;
      last_key_ = last_key;
    } else if (page.node_flags(i) & ~kBigData) {
      return reader_.damaged(page.number(), "has a row of an unknown kind");
    }
    return {};
  }

  // A count, then page numbers.
  base::Result<> check_free_pages(std::uint64_t number, base::BytesView list) {
    if (list.size() < 8 || base::get_le64(list.data()) != list.size() / 8 - 1 || list.size() % 8 != 0)
      return reader_.damaged(number, "has a free list of the wrong length");
    for (std::size_t at = 8; at < list.size(); at += 8) ETCDPP_TRY(reach(base::get_le64(list.data() + at), number));
    return {};
  }

  PageReader& reader_;
  std::vector<bool> reached_;
  std::uint64_t entries_ = 0;
  base::Bytes last_key_;
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
  std::memcpy(&tree.flags, bytes + 4, 2);
  std::memcpy(&tree.depth, bytes + 6, 2);
  tree.entries = base::get_le64(bytes + 32);
  tree.root = base::get_le64(bytes + 40);
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
  if (!(flags & kMetaPage) || magic != kMagic || version != kVersion) return std::nullopt;
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
  page_count = (kPageHead - 1 + size) / page_size_ + 1;
  if (number < 2 || number > meta_.last_page || page_count > meta_.last_page - number + 1)
    return damaged(number, "is outside of the file's pages");
  char head[kPageHead];
  ETCDPP_ASSIGN(std::size_t got, file_->read_at(number * page_size_, head, sizeof head));
  if (got != sizeof head) return damaged(number, "is beyond the end of the file: it has been truncated");
  std::uint16_t flags;
  std::uint32_t pages;
  std::memcpy(&flags, head + 10, 2);
  std::memcpy(&pages, head + 12, 4);
  if (base::get_le64(head) != number || (flags & ~kKeepFlags) != kOverflowPage || pages != page_count)
    return damaged(number, "is not the overflow page that a row points to");
  // The size is a claim of the file: it gets memory only if the file is that long.
  ETCDPP_ASSIGN(const std::uint64_t file_size, file_->size());
  if (number * page_size_ + kPageHead + size > file_size)
    return damaged(number, "is beyond the end of the file: it has been truncated");
  base::Bytes out(size, '\0');
  ETCDPP_ASSIGN(got, file_->read_at(number * page_size_ + kPageHead, out.data(), out.size()));
  if (got != out.size()) return damaged(number, "is beyond the end of the file: it has been truncated");
  return out;
}

base::Result<> PageReader::verify() {
  ETCDPP_ASSIGN(const std::uint64_t file_size, file_->size());
  // LMDB need not have written its last pages (freed in the transaction that made them), but never this few.
  if (file_size / page_size_ < 2) return damaged(1, "is beyond the end of the file: it has been truncated");
  if (pages() > file_size / page_size_ + kPagesNotWritten) return damaged(0, "claims more pages than the file has");
  return Verifier(*this).run();
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

base::Result<> PageReader::scan(std::string_view tree_name, base::BytesView first, const Visitor& visit) {
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
      for (; there && *there && rows.size() < kChunkRows && bytes < kChunkBytes; there = cursor.next()) {
        ETCDPP_ASSIGN(const base::BytesView stored, cursor.value(room));
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
