// The structures are those that page_reader.cc describes; here each node is looked at by itself.

#include <etcdpp/backend/salvage.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include <etcdpp/base/key_range.h>

#include "page.h"
#include "page_view.h"
#include "row_parts.h"

namespace etcdpp::backend {

namespace {

constexpr std::uint64_t kUsualPageSize = 4096;
constexpr std::uint64_t kLargestValue = std::uint64_t{512} << 20;
constexpr const char* kBrokenMeta = "is a meta that is not whole: the newest commit may be lost";
constexpr const char* kTrees[] = {"key", "own", "small"};

template <typename T>
T load(const char* at) {
  T v;
  std::memcpy(&v, at, sizeof v);
  return v;
}

struct Meta {
  std::uint64_t page_size = 0;
  std::uint64_t transaction = 0;
  std::uint64_t main_root = kNoPage;
};

std::optional<Meta> read_meta(base::File& file, std::uint64_t offset) {
  char bytes[kPageHead + kMetaSize];
  const auto got = file.read_at(offset, bytes, sizeof bytes);
  if (!got || *got != sizeof bytes) return std::nullopt;
  const char* meta = bytes + kPageHead;
  if (!(load<std::uint16_t>(bytes + 10) & kMetaPage) || load<std::uint32_t>(meta) != kMagic || load<std::uint32_t>(meta + 4) != kVersion)
    return std::nullopt;
  Meta out;
  out.page_size = load<std::uint32_t>(meta + 24);
  if (out.page_size < kSmallestPage || out.page_size > kLargestPage || (out.page_size & (out.page_size - 1)) != 0) return std::nullopt;
  out.main_root = tree_root(meta + 24 + kTreeRecordSize);
  out.transaction = base::get_le64(meta + 32 + 2 * kTreeRecordSize);
  return out;
}

// A branch or leaf page; everything but its head is in doubt until looked at.
class Page {
 public:
  Page(std::uint64_t number, base::Bytes bytes) : number_(number), bytes_(std::move(bytes)) {}
  std::uint64_t number() const { return number_; }
  bool is_branch() const { return (load<std::uint16_t>(bytes_.data() + 10) & ~kKeepFlags) == kBranchPage; }
  bool is_leaf() const { return (load<std::uint16_t>(bytes_.data() + 10) & ~kKeepFlags) == kLeafPage; }
  std::size_t count() const { return (load<std::uint16_t>(bytes_.data() + 12) - kPageHead) / 2; }

  const char* check_head() const {
    if (load<std::uint64_t>(bytes_.data()) != number_) return "carries another page's number";
    if (!is_branch() && !is_leaf()) return "is neither branch nor leaf";
    const std::size_t lower = load<std::uint16_t>(bytes_.data() + 12), upper = load<std::uint16_t>(bytes_.data() + 14);
    if (lower < kPageHead || lower % 2 != 0 || lower > upper || upper > bytes_.size()) return "has wrong bounds";
    return nullptr;
  }
  const char* check_node(std::size_t i) const {
    const std::size_t at = node(i);
    if (at < kPageHead + 2 * count() || at + kNodeHead > bytes_.size()) return "has a node outside of its bounds";
    if (at + kNodeHead + key(i).size() > bytes_.size()) return "has a key outside of its bounds";
    if (is_leaf() && at + kNodeHead + key_size(at) + in_page(at) > bytes_.size()) return "has a value outside of its bounds";
    return nullptr;
  }
  std::size_t node(std::size_t i) const { return load<std::uint16_t>(bytes_.data() + kPageHead + 2 * i); }
  base::BytesView key(std::size_t i) const { return base::BytesView(bytes_).substr(node(i) + kNodeHead, key_size(node(i))); }
  std::uint64_t child(std::size_t i) const {
    const char* at = bytes_.data() + node(i);
    return load<std::uint16_t>(at) | std::uint64_t{load<std::uint16_t>(at + 2)} << 16 | std::uint64_t{load<std::uint16_t>(at + 4)} << 32;
  }
  std::uint16_t node_flags(std::size_t i) const { return load<std::uint16_t>(bytes_.data() + node(i) + 4); }
  std::uint64_t value_size(std::size_t i) const { return data_size(node(i)); }
  base::BytesView value(std::size_t i) const {
    const std::size_t at = node(i);
    return base::BytesView(bytes_).substr(at + kNodeHead + key_size(at), in_page(at));
  }

 private:
  std::size_t key_size(std::size_t at) const { return load<std::uint16_t>(bytes_.data() + at + 6); }
  std::uint64_t data_size(std::size_t at) const {
    return load<std::uint16_t>(bytes_.data() + at) | std::uint64_t{load<std::uint16_t>(bytes_.data() + at + 2)} << 16;
  }
  std::size_t in_page(std::size_t at) const {
    return (load<std::uint16_t>(bytes_.data() + at + 4) & kBigData) ? 8 : static_cast<std::size_t>(data_size(at));
  }
  std::uint64_t number_;
  base::Bytes bytes_;
};

class Salvage {
 public:
  Salvage(base::File& file, std::uint64_t file_size, std::uint64_t page_size, const SalvageVisitor& visit)
      : file_(file), file_size_(file_size), page_size_(page_size), reached_(file_size / page_size, false), visit_(visit) {}

  // `broken_meta`: the number of one that is not whole, beside the one that is read.
  base::Result<SalvageReport> run(std::optional<std::uint64_t> main_root, std::optional<std::uint64_t> broken_meta, const LossVisitor& told) {
    broken_meta_ = broken_meta;
    if (!main_root) {
      lose({}, {}, 0, 0, "no meta page is whole");
    } else {
      struct Tree {
        std::string name;
        std::uint64_t root;
        std::size_t depth;
        std::uint64_t entries;
      };
      std::vector<Tree> trees;
      const Visit tree = [&](const Page& page, std::size_t i) -> base::Result<> {
        const base::BytesView record = page.value(i);
        if (!(page.node_flags(i) & kSubTree) || record.size() != kTreeRecordSize) {
          // Nothing is known of any tree.
          lose({}, {}, page.number(), page.node(i), "has something else than a tree in the main tree");
        } else {
          trees.push_back({std::string(page.key(i)), tree_root(record.data()), tree_depth(record.data()), tree_entries(record.data())});
        }
        return {};
      };
      if (*main_root != kNoPage) ETCDPP_TRY(descend(*main_root, {}, {}, 0, tree));
      for (const Tree& tree_there : trees) {
        if (tree_there.root == kNoPage || std::find(std::begin(kTrees), std::end(kTrees), tree_there.name) == std::end(kTrees)) continue;
        leaf_depth_ = tree_there.depth;
        const std::uint64_t losses_before = report_.loss_count;
        entries_ = rows_lost_ = 0;
        ETCDPP_TRY(walk_rows(tree_there.name, tree_there.root));
        // Whole to look at, and another tree than the one that was counted: a part of it, or that of an older commit.
        if (entries_ != tree_there.entries && report_.loss_count == losses_before + rows_lost_)
          lose(tree_there.name, {}, tree_there.root, 0, "is the root of a tree whose number of rows is wrong");
      }
      // The newest commit may be the one that is lost, and the one that made a tree.
      for (const char* name : kTrees)
        if (broken_meta && std::none_of(trees.begin(), trees.end(), [&](const Tree& there) { return there.name == name && there.root != kNoPage; }))
          lose(name, {}, *broken_meta, 0, kBrokenMeta);
    }
    if (told) ETCDPP_TRY(told(report_));
    if (report_.loss_count > 0) ETCDPP_TRY(outside());
    return std::move(report_);
  }

 private:
  using Range = base::KeyRange;
  using Visit = std::function<base::Result<>(const Page& page, std::size_t i)>;
  struct Place {
    std::uint64_t page;
    std::size_t node;
  };
  using Pieces = std::map<std::uint32_t, Place>;  // by number; 0: the head

  void lose(const std::string& tree, Range range, std::uint64_t page, std::size_t offset, std::string what) {
    if (++report_.loss_count > SalvageReport::kMostLosses + 1) return;
    SalvageLoss loss{page, page * page_size_ + offset, std::move(what), tree, std::move(range.first), std::move(range.end)};
    // Too many to tell apart: from here on everything may be lost.
    if (report_.loss_count > SalvageReport::kMostLosses) loss = {0, 0, "more is damaged than can be listed", {}, {}, std::nullopt};
    report_.losses.push_back(std::move(loss));
  }

  base::Result<std::optional<Page>> read(std::uint64_t number, const char*& why) {
    base::Bytes bytes(page_size_, '\0');
    ETCDPP_ASSIGN(const std::size_t got, file_.read_at(number * page_size_, bytes.data(), bytes.size()));
    why = got == bytes.size() ? nullptr : "is beyond the end of the file: it has been truncated";
    if (why) return std::optional<Page>();
    Page page(number, std::move(bytes));
    why = page.check_head();
    if (why) return std::optional<Page>();
    return std::optional(std::move(page));
  }

  // The stored bytes of a row; none when its overflow pages are not what they should be.
  base::Result<std::optional<base::BytesView>> value(const Page& page, std::size_t i) {
    if (!(page.node_flags(i) & kBigData)) return std::optional(page.value(i));
    const std::uint64_t first = base::get_le64(page.value(i).data()), size = page.value_size(i);
    if (first < 2 || first >= reached_.size() || size > kLargestValue || first * page_size_ + kPageHead + size > file_size_)
      return std::optional<base::BytesView>();
    char head[kPageHead];
    ETCDPP_ASSIGN(std::size_t got, file_.read_at(first * page_size_, head, sizeof head));
    if (got != sizeof head || base::get_le64(head) != first || (load<std::uint16_t>(head + 10) & ~kKeepFlags) != kOverflowPage)
      return std::optional<base::BytesView>();
    room_.resize(size);
    ETCDPP_ASSIGN(got, file_.read_at(first * page_size_ + kPageHead, room_.data(), size));
    if (got != size) return std::optional<base::BytesView>();
    return std::optional(base::BytesView(room_));
  }

  base::Result<> walk_rows(const std::string& tree, std::uint64_t root) {
    base::Bytes last;
    const Visit row = [&](const Page& page, std::size_t i) -> base::Result<> {
      ++entries_;
      if (!last.empty() && page.key(i) <= last) {
        lose(tree, {last, std::nullopt}, page.number(), page.node(i), "has keys out of order");
        return {};
      }
      last = page.key(i);
      ETCDPP_ASSIGN(const auto stored, value(page, i));
      if (!stored) {
        lose_row(tree, page.key(i), page, i, "has a row whose overflow pages are damaged");
        return {};
      }
      if (tree == "own") return {};
      if (tree == "key") return take_item(page, i, *stored);
      if (const auto found = decode_small(page, i, *stored, true)) {
        ++report_.rows_in_tree;
        return visit_(*found);
      }
      lose_row(tree, page.key(i), page, i, "has a row whose checksum is wrong");
      return {};
    };
    ETCDPP_TRY(descend(root, tree, {}, 0, row));
    if (join_.open()) {
      join_.give_up();
      lose_joined();
    }
    // The newest commit may be the one that is lost; its rows of bucket `key` stand behind all others.
    if (broken_meta_) lose(tree, {last + '\0', std::nullopt}, *broken_meta_, 0, kBrokenMeta);
    return {};
  }

  void lose_row(const std::string& tree, base::BytesView key, const Page& page, std::size_t i, const char* what) {
    ++rows_lost_;
    lose(tree, {base::Bytes(key), base::Bytes(key) + '\0'}, page.number(), page.node(i), what);
  }

  // The row that was under way has not all of its parts; those that it has may be of use to what lies outside.
  void lose_joined() {
    const Place at = under_way_.front();
    ++rows_lost_;
    lose("key", {base::Bytes(join_.key()), base::Bytes(join_.key()) + '\0'}, at.page, 0, "has a row that lacks parts of it");
    Pieces& pieces = pieces_[base::Bytes(join_.key())];
    for (std::uint32_t number = 0; number < under_way_.size(); ++number) pieces.emplace(number, under_way_[number]);
    under_way_.clear();
  }

  base::Result<> take_item(const Page& page, std::size_t i, base::BytesView stored) {
    const base::BytesView key = page.key(i);
    auto taken = join_.take(key, stored);
    if (taken == RowJoin::Taken::kWrong && !under_way_.empty()) {
      lose_joined();
      taken = join_.take(key, stored);
    }
    if (taken == RowJoin::Taken::kWrong) {
      const auto piece = piece_of(key, stored);
      if (piece) pieces_[piece->row].emplace(piece->number, Place{page.number(), i});
      lose_row("key", piece ? base::BytesView(piece->row) : key, page, i, piece ? "has a part of a row that lacks its head" : "has a row whose checksum is wrong");
      return {};
    }
    if (taken == RowJoin::Taken::kMore) {
      under_way_.push_back({page.number(), i});
      return {};
    }
    const std::uint64_t at = under_way_.empty() ? page.number() : under_way_.front().page;
    under_way_.clear();
    ++report_.rows_in_tree;
    return visit_({Bucket::kKey, join_.key(), join_.value(), at, true});
  }

  struct Piece {
    base::Bytes row;
    std::uint32_t number;  // 0: the head
  };
  static std::optional<Piece> piece_of(base::BytesView key, base::BytesView stored) {
    const std::uint8_t bucket = static_cast<std::uint8_t>(Bucket::kKey);
    if (verified(bucket, key, stored, RowFormat::kHead)) return Piece{base::Bytes(key), 0};
    if (!verified(bucket, key, stored, RowFormat::kPart) || row_of_part(key).empty()) return std::nullopt;
    return Piece{base::Bytes(row_of_part(key)), get_be32(key.data() + key.size() - 4)};
  }

  std::optional<SalvagedRow> decode_small(const Page& page, std::size_t i, base::BytesView stored, bool in_tree) {
    const auto small = decode_small_row(page.key(i), stored);
    if (!small) return std::nullopt;
    return SalvagedRow{small->bucket, small->key, small->value, page.number(), in_tree};
  }

  // Of a leaf that no tree reaches: whichever the checksum says.
  std::optional<SalvagedRow> decode_any(const Page& page, std::size_t i, base::BytesView stored) {
    if (const auto plain = verified(static_cast<std::uint8_t>(Bucket::kKey), page.key(i), stored, RowFormat::kPlain))
      return SalvagedRow{Bucket::kKey, page.key(i), *plain, page.number(), false};
    return decode_small(page, i, stored, false);
  }

  base::Result<> descend(std::uint64_t number, const std::string& tree, const Range& range, std::size_t depth, const Visit& visit) {
    const auto lost = [&](const char* what) -> base::Result<> {
      lose(tree, range, number, 0, what);
      return {};
    };
    if (depth >= kDeepestTree) return lost("is deeper than a tree can be");
    if (number < 2 || number >= reached_.size()) return lost("is beyond the end of the file");
    if (reached_[number]) return lost("is reached twice");
    const char* why = nullptr;
    ETCDPP_ASSIGN(const auto page, read(number, why));
    if (!page) return lost(why);
    if (page->is_leaf()) {
      if (leaf_depth_ != 0 && leaf_depth_ != depth + 1) return lost("is a leaf at another depth than its tree has");
      if (!belongs(*page, tree, range)) return {};
    }
    reached_[number] = true;
    const auto whole = [&](std::size_t n) { return n < page->count() && !page->check_node(n); };
    if (page->is_leaf()) {
      for (std::size_t i = 0; i < page->count(); ++i) {
        if (whole(i)) {
          ETCDPP_TRY(visit(*page, i));
          continue;
        }
        Range around = range;
        if (i > 0 && whole(i - 1)) around.first = page->key(i - 1);
        if (whole(i + 1)) around.end = base::Bytes(page->key(i + 1));
        lose(tree, std::move(around), number, 0, page->check_node(i));
      }
      return {};
    }
    // Separators that are out of order tell nothing about what stands below, nor whether they or their neighbours are wrong.
    const base::KeyAt key_at = key_of(*page);
    const std::vector<bool> placed = base::placed_separators(page->count(), key_at, range);
    for (std::size_t i = 0; i < page->count(); ++i)
      if (!placed[i]) lose(tree, range, number, 0, whole(i) ? "has separators out of order" : page->check_node(i));
    for (std::size_t i = 0; i < page->count(); ++i) {
      if (!placed[i]) continue;
      const Range below = base::below_separator(i, placed, key_at, range);
      ETCDPP_TRY(descend(page->child(i), tree, below, depth + 1, visit));
    }
    return {};
  }

  static base::KeyAt key_of(const Page& page) {
    return [&page](std::size_t i) -> std::optional<base::BytesView> {
      if (page.check_node(i)) return std::nullopt;
      // A branch's first key says nothing: it stands for everything below the second.
      return page.is_branch() && i == 0 ? base::BytesView() : page.key(i);
    };
  }

  // Whether a leaf's keys are in order and between the separators that led to it. One that belongs elsewhere is lost here,
  // and looked at again with those that no tree reaches.
  bool belongs(const Page& page, const std::string& tree, const Range& range) {
    auto own = base::misplaced_keys(page.count(), key_of(page), range);
    if (!own) return true;
    lose(tree, range, page.number(), 0, "has keys out of order, or of another place");
    // The separators may be what is wrong.
    lose(tree, std::move(*own), page.number(), 0, "the same, for the keys that it has");
    return false;
  }

  base::Result<> outside() {
    for (std::uint64_t number = 2; number < reached_.size(); ++number) {
      if (reached_[number]) continue;
      const char* why = nullptr;
      ETCDPP_ASSIGN(const auto page, read(number, why));
      if (!page || !page->is_leaf()) continue;
      for (std::size_t i = 0; i < page->count(); ++i) {
        if (page->check_node(i) || (page->node_flags(i) & kSubTree)) continue;
        ETCDPP_ASSIGN(const auto stored, value(*page, i));
        if (!stored) continue;
        if (auto piece = piece_of(page->key(i), *stored)) {
          pieces_[std::move(piece->row)].emplace(piece->number, Place{number, i});
          continue;
        }
        const auto row = decode_any(*page, i, *stored);
        if (!row) continue;
        ++report_.rows_outside;
        ETCDPP_TRY(visit_(*row));
      }
    }
    return outside_in_parts();
  }

  // A row never changes, so parts that different commits left behind fit together.
  base::Result<> outside_in_parts() {
    for (const auto& [row, pieces] : pieces_) {
      RowJoin join;
      auto taken = RowJoin::Taken::kMore;
      for (auto piece = pieces.begin(); taken == RowJoin::Taken::kMore && piece != pieces.end(); ++piece) {
        const char* why = nullptr;
        ETCDPP_ASSIGN(const auto page, read(piece->second.page, why));
        if (!page) break;
        ETCDPP_ASSIGN(const auto stored, value(*page, piece->second.node));
        if (!stored) break;
        taken = join.take(page->key(piece->second.node), *stored);
      }
      if (taken != RowJoin::Taken::kRow) continue;
      ++report_.rows_outside;
      ETCDPP_TRY(visit_({Bucket::kKey, join.key(), join.value(), pieces.begin()->second.page, false}));
    }
    return {};
  }

  base::File& file_;
  const std::uint64_t file_size_;
  const std::uint64_t page_size_;
  std::vector<bool> reached_;
  const SalvageVisitor& visit_;
  SalvageReport report_;
  std::optional<std::uint64_t> broken_meta_;
  std::size_t leaf_depth_ = 0;  // 0: not known
  std::uint64_t entries_ = 0, rows_lost_ = 0;  // of the tree that is walked
  base::Bytes room_;
  RowJoin join_;
  std::vector<Place> under_way_;  // head and parts of the row that join_ puts together
  std::map<base::Bytes, Pieces> pieces_;  // of rows that the tree has not whole
};

}  // namespace

bool SalvageReport::may_have_lost(Bucket bucket, base::BytesView key) const {
  const std::string tree = bucket == Bucket::kKey ? "key" : "small";
  const base::Bytes in_tree = bucket == Bucket::kKey ? base::Bytes(key) : small_tree_key(bucket, key);
  return std::any_of(losses.begin(), losses.end(), [&](const SalvageLoss& loss) {
    return loss.tree.empty() || (loss.tree == tree && in_tree >= loss.first && (!loss.end || in_tree < *loss.end));
  });
}

base::Result<SalvageReport> salvage(base::Env& env, const std::string& path, const SalvageVisitor& visit, const LossVisitor& lost) {
  ETCDPP_ASSIGN(const auto file, env.open(path, base::OpenMode::kReadOnly));
  ETCDPP_ASSIGN(const std::uint64_t file_size, file->size());
  const auto first = read_meta(*file, 0);
  auto second = first ? read_meta(*file, first->page_size) : std::nullopt;
  for (std::uint64_t at = 512; !first && !second && at <= 32768; at *= 2) {
    second = read_meta(*file, at);
    if (second && second->page_size != at) second.reset();
  }
  const auto meta = first && (!second || first->transaction >= second->transaction) ? first : second;
  Salvage all(*file, file_size, meta ? meta->page_size : kUsualPageSize, visit);
  std::optional<std::uint64_t> broken_meta;
  if (meta && !(first && second)) broken_meta = first ? 1 : 0;
  return all.run(meta ? std::optional(meta->main_root) : std::nullopt, broken_meta, lost);
}

}  // namespace etcdpp::backend
