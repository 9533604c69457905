#include <etcdpp/bolt/salvage.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include <etcdpp/base/key_range.h>
#include <etcdpp/bolt/errc.h>

#include "free_list.h"

namespace etcdpp::bolt {

namespace {

constexpr std::uint64_t kUsualPageSize = 4096;
constexpr std::uint64_t kSampledPages = 64;

// Of how many pages that size makes sense: they carry their own number.
std::uint64_t pages_that_fit(base::File& file, std::uint64_t file_size, std::uint64_t page_size) {
  std::uint64_t fit = 0;
  const std::uint64_t pages = std::min(file_size / page_size, kSampledPages);
  for (std::uint64_t number = 1; number < pages; ++number) {
    char head[kPageHead];
    const auto got = file.read_at(number * page_size, head, sizeof head);
    if (got && *got == sizeof head && load<std::uint64_t>(head) == number) ++fit;
  }
  return fit;
}

// Without a whole meta: what a broken one says, if pages agree, else the size that most pages agree with.
std::uint64_t guess_page_size(base::File& file, std::uint64_t file_size) {
  char bytes[kPageHead + kMetaBody];
  const auto got = file.read_at(0, bytes, sizeof bytes);
  if (got && *got == sizeof bytes)
    if (const auto claimed = claimed_page_size({bytes + kPageHead, kMetaBody}); claimed && pages_that_fit(file, file_size, *claimed) > 0)
      return *claimed;
  std::uint64_t best = kUsualPageSize, most = 0;
  for (std::uint64_t size = kSmallestPage; size <= kLargestPage && size < file_size; size *= 2) {
    const std::uint64_t fit = pages_that_fit(file, file_size, size);
    if (fit > most || (fit == most && size == kUsualPageSize)) {
      most = fit;
      best = size;
    }
  }
  return best;
}

class Salvage {
 public:
  Salvage(PageFile& pages, std::uint64_t file_size, const SalvageVisitor& visit)
      : pages_(pages), reached_(file_size / pages.page_size(), false), strays_(reached_.size(), false), visit_(visit) {
    report_.page_size = pages.page_size();
  }

  // `broken_meta`: the number of one that is not whole, beside the one that is read.
  base::Result<SalvageReport> run(const std::optional<Meta>& meta, std::optional<std::uint64_t> broken_meta, const LossVisitor& told) {
    broken_meta_ = broken_meta;
    if (meta) {
      buckets_.clear();
      ETCDPP_TRY(walk_buckets(meta->root));
      for (const Bucket& bucket : std::exchange(buckets_, {})) ETCDPP_TRY(walk_rows(bucket, true));
      ETCDPP_TRY(find_strays(*meta));
    } else {
      lose({}, {}, std::nullopt, {0, 0, "no meta page is whole"});
    }
    bool look_outside = report_.lost_count + report_.stray_count > 0;
    if (told) {
      ETCDPP_ASSIGN(const bool wanted, told(report_));
      look_outside |= wanted;
    }
    if (look_outside) ETCDPP_TRY(outside());
    return std::move(report_);
  }

 private:
  using Range = base::KeyRange;

  void lose(base::BytesView bucket, base::BytesView first, std::optional<base::Bytes> end, Problem why) {
    if (++report_.lost_count > SalvageReport::kMostLost) {
      // Too many to tell apart: from here on everything may be lost.
      if (report_.lost_count == SalvageReport::kMostLost + 1) report_.lost.push_back({{}, {}, std::nullopt, {0, 0, "more is damaged than can be listed"}});
      return;
    }
    report_.lost.push_back({base::Bytes(bucket), base::Bytes(first), std::move(end), std::move(why)});
  }
  Problem at(std::uint64_t page, std::size_t offset, std::string what) const {
    return {page, page * pages_.page_size() + offset, std::move(what)};
  }

  base::Result<> walk_buckets(std::uint64_t root) {
    leaf_depth_ = 0;
    return descend(root, {}, {{}, std::nullopt}, 0, [&](const Page& page, std::size_t i) -> base::Result<> {
      auto bucket = page.is_bucket(i) ? decode_bucket(page.key(i), page.value(i)) : std::nullopt;
      if (bucket && buckets_.size() < Reader::kMostBuckets) {
        buckets_.push_back(std::move(*bucket));
      } else {
        // Rows in the place of the list: nothing is known of any bucket.
        lose(page.is_bucket(i) ? page.key(i) : base::BytesView(), {}, std::nullopt, at(page.number(), Page::element_offset(i), "is no whole bucket"));
      }
      return {};
    });
  }

  base::Result<> walk_rows(const Bucket& bucket, bool in_tree) {
    has_last_ = false;
    leaf_depth_ = 0;
    const auto row = [&](const Page& page, std::size_t i) -> base::Result<> {
      // An element that was shifted onto others' bytes shows itself by its place in the order.
      if (page.is_bucket(i) || page.key(i).empty() || (has_last_ && page.key(i) <= last_)) {
        if (in_tree) lose(bucket.name, has_last_ ? base::BytesView(last_) : base::BytesView(), std::nullopt, at(page.number(), Page::element_offset(i), "has keys out of order"));
        return {};
      }
      last_.assign(page.key(i));
      has_last_ = true;
      ++(in_tree ? report_.rows_in_tree : report_.rows_outside);
      return visit_({bucket.name, page.key(i), page.value(i), page.number(), in_tree, strays_[page.number()]});
    };
    if (bucket.root != 0) {
      ETCDPP_TRY(descend(bucket.root, bucket.name, {{}, std::nullopt}, 0, row));
      // The newest commit may be the one that is lost; what it appended to a bucket stands behind all others.
      if (in_tree && broken_meta_)
        lose(bucket.name, last_ + '\0', std::nullopt, at(*broken_meta_, 0, "is a meta that is not whole: the newest commit may be lost"));
      return {};
    }
    const Page page{base::BytesView(bucket.inline_page)};
    const auto fault = page.check_head();
    if (fault || !page.is_leaf()) {
      lose(bucket.name, {}, std::nullopt, {0, 0, std::string("its inline page ") + (fault ? fault->what : "is a branch")});
      return {};
    }
    return each_row(page, bucket.name, {{}, std::nullopt}, row);
  }

  using RowVisitor = std::function<base::Result<>(const Page& page, std::size_t i)>;

  base::Result<> each_row(const Page& page, base::BytesView bucket, const Range& range, const RowVisitor& row) {
    for (std::size_t i = 0; i < page.count(); ++i) {
      if (const auto fault = page.check_element(i)) {
        // Between its neighbours' keys, as far as they are whole.
        base::BytesView first = i > 0 && !page.check_element(i - 1) ? page.key(i - 1) : base::BytesView(range.first);
        std::optional<base::Bytes> end = range.end;
        if (i + 1 < page.count() && !page.check_element(i + 1)) end = base::Bytes(page.key(i + 1));
        lose(bucket, first, std::move(end), at(page.number(), fault->offset, fault->what));
        continue;
      }
      ETCDPP_TRY(row(page, i));
    }
    return {};
  }

  static base::KeyAt key_of(const Page& page) {
    return [&page](std::size_t i) { return page.check_element(i) ? std::nullopt : std::optional(page.key(i)); };
  }

  // Whether a leaf's keys are in order and between the separators that led to it. One that belongs elsewhere is lost here,
  // and looked at again with those that no tree reaches.
  bool belongs(const Page& page, base::BytesView bucket, const Range& range) {
    const auto own = base::misplaced_keys(page.count(), key_of(page), range);
    if (!own) return true;
    lose(bucket, range.first, range.end, at(page.number(), 0, "has keys out of order, or of another place"));
    // The separators may be what is wrong.
    lose(bucket, own->first, own->end, at(page.number(), 0, "the same, for the keys that it has"));
    return false;
  }

  // `bucket` empty: the list of buckets.
  base::Result<> descend(std::uint64_t number, base::BytesView bucket, const Range& range, std::size_t depth, const RowVisitor& row) {
    const auto lost = [&](std::string what) -> base::Result<> {
      lose(bucket, range.first, range.end, at(number, 0, std::move(what)));
      return {};
    };
    if (depth >= kDeepestTree) return lost("is deeper than a tree can be");
    if (number >= reached_.size() || number >= pages_.pages()) return lost("is beyond the end of the file or of the database");
    if (reached_[number]) return lost("is reached twice");
    auto read = pages_.read_head_checked(number, Reader::kMostBytesHeld - bytes_held_);
    if (!read) {
      if (read.error().code.category() != make_error_code(Errc::kDamaged).category()) return read.error();
      return lost(read.error().message());
    }
    const Page page = std::move(*read);
    const auto mark = [&](bool reached) {
      for (std::uint64_t n = number; n <= number + page.overflow() && n < reached_.size(); ++n) reached_[n] = reached;
    };
    if (page.is_leaf() && !belongs(page, bucket, range)) return {};
    mark(true);
    if (page.is_leaf()) {
      if (leaf_depth_ == 0) leaf_depth_ = depth + 1;
      // Either this one or those before stand in the place of a branch.
      if (leaf_depth_ != depth + 1) lose(bucket, {}, std::nullopt, at(number, 0, "is a leaf at another depth than those before it"));
    }
    if (page.is_leaf()) return each_row(page, bucket, range, row);
    bytes_held_ += page.size();
    // Separators that are out of order tell nothing about what stands below, nor whether they or their neighbours are wrong.
    const base::KeyAt key_at = key_of(page);
    const std::vector<bool> placed = base::placed_separators(page.count(), key_at, range);
    for (std::size_t i = 0; i < page.count(); ++i) {
      if (placed[i]) continue;
      const auto fault = page.check_element(i);
      lose(bucket, range.first, range.end, at(number, fault ? fault->offset : Page::element_offset(i), fault ? fault->what : "has separators out of order"));
    }
    for (std::size_t i = 0; i < page.count(); ++i) {
      if (!placed[i]) continue;
      const Range below = base::below_separator(i, placed, key_at, range);
      ETCDPP_TRY(descend(page.child(i), bucket, below, depth + 1, row));
    }
    bytes_held_ -= page.size();
    return {};
  }

  // A tree whose root has been replaced by a lower page of its own is whole to look at. What it does not reach any more is
  // not free either, by a free list that can be believed.
  base::Result<> find_strays(const Meta& meta) {
    if (!meta.free_list || *meta.free_list < 2 || *meta.free_list >= std::min<std::uint64_t>(meta.pages, reached_.size())) return {};
    ETCDPP_ASSIGN(const auto list, FreeList::open(pages_, *meta.free_list));
    if (!list) return {};
    std::vector<bool> owned = reached_;
    for (std::uint64_t number = *meta.free_list; number <= *meta.free_list + list->overflow() && number < owned.size(); ++number) owned[number] = true;
    bool sound = true;
    std::uint64_t before = 1;
    ETCDPP_ASSIGN(const auto fault, list->each([&](std::uint64_t number, std::size_t) {
      sound &= number > before && number < meta.pages && (number >= owned.size() || !owned[number]);
      before = number;
      if (sound && number < owned.size()) owned[number] = true;
    }));
    if (fault || !sound) return {};
    for (std::uint64_t number = 2; number < std::min<std::uint64_t>(meta.pages, owned.size()); ++number) {
      if (owned[number]) continue;
      const auto page = pages_.read_head_checked(number);
      if (!page || !page->is_leaf()) continue;
      for (std::uint64_t n = number; n <= number + page->overflow() && n < owned.size(); ++n) owned[n] = true;
      strays_[number] = true;
      if (++report_.stray_count <= SalvageReport::kMostLost) report_.strays.push_back(at(number, 0, "is in no tree, and not free by the free list"));
    }
    return {};
  }

  // Leaves that no tree reached. Old lists of buckets among them say whose their trees are.
  base::Result<> outside() {
    std::vector<bool> seen = reached_;
    for (const bool lists : {true, false}) {
      for (std::uint64_t number = 2; number < reached_.size(); ++number) {
        if (seen[number] || reached_[number]) continue;
        auto read = pages_.read_head_checked(number);
        if (!read || !read->is_leaf()) continue;
        const Page page = std::move(*read);
        bool has_bucket = false;
        for (std::size_t i = 0; i < page.count() && !has_bucket; ++i) has_bucket = !page.check_element(i) && page.is_bucket(i);
        if (has_bucket != lists) continue;
        ++report_.pages_outside;
        reached_[number] = true;
        for (std::size_t i = 0; i < page.count(); ++i) {
          if (page.check_element(i)) continue;
          if (has_bucket) {
            const auto bucket = page.is_bucket(i) ? decode_bucket(page.key(i), page.value(i)) : std::nullopt;
            // Its losses are none of the database's.
            const std::uint64_t lost_count = report_.lost_count;
            const std::size_t lost_size = report_.lost.size();
            if (bucket) ETCDPP_TRY(walk_rows(*bucket, false));
            report_.lost_count = lost_count;
            report_.lost.resize(std::min(report_.lost.size(), lost_size));
          } else if (!page.key(i).empty()) {
            ++report_.rows_outside;
            ETCDPP_TRY(visit_({{}, page.key(i), page.value(i), number, false, strays_[number]}));
          }
        }
      }
    }
    return {};
  }

  PageFile& pages_;
  std::vector<bool> reached_;
  std::vector<bool> strays_;
  const SalvageVisitor& visit_;
  SalvageReport report_;
  std::vector<Bucket> buckets_;
  std::uint64_t bytes_held_ = 0;
  std::size_t leaf_depth_ = 0;  // 0: no leaf met yet
  std::optional<std::uint64_t> broken_meta_;
  base::Bytes last_;
  bool has_last_ = false;
};

}  // namespace

base::Result<SalvageReport> salvage(base::Env& env, const std::string& path, const SalvageVisitor& visit, const LossVisitor& lost) {
  std::optional<Meta> meta;
  std::optional<std::uint64_t> broken_meta;
  if (const auto reader = Reader::open(env, path)) {
    meta = (*reader)->meta();
    for (std::size_t i = 0; i < 2; ++i)
      if (!(*reader)->metas()[i]) broken_meta = i;
  } else if (reader.error().code != make_error_code(Errc::kNotADatabase)) {
    return reader.error();
  }
  ETCDPP_ASSIGN(auto file, env.open(path, base::OpenMode::kReadOnly));
  ETCDPP_ASSIGN(const std::uint64_t file_size, file->size());
  const std::uint64_t page_size = meta ? meta->page_size : guess_page_size(*file, file_size);
  PageFile pages(std::move(file));
  // Pages outside of the trees may also lie behind the last one that the meta knows of.
  pages.set_geometry(page_size, file_size / page_size);
  return Salvage(pages, file_size, visit).run(meta, broken_meta, lost);
}

}  // namespace etcdpp::bolt
