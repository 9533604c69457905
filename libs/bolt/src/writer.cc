#include <etcdpp/bolt/writer.h>

#include <utility>

#include <etcdpp/base/assert.h>
#include <etcdpp/bolt/errc.h>

#include "tree_builder.h"

namespace etcdpp::bolt {

class Writer::Build {
 public:
  Build(Mode mode, std::uint64_t page_size, Sink sink, std::optional<Plan> expected)
      : output_(mode, page_size, sink), sink_(std::move(sink)), expected_(expected), buckets_(output_), rows_(std::in_place, output_) {
    ETCDPP_ASSERT(page_size >= kSmallestPage && page_size <= kLargestPage && (page_size & (page_size - 1)) == 0, "a page size that bbolt can have");
  }

  base::Result<> begin_bucket(base::BytesView name) {
    ETCDPP_TRY(begin_stream());
    ETCDPP_TRY(end_bucket());
    if (name.empty() || name.size() > kLongestKey) return bad_row("a bucket's name has 1 to 32768 bytes, not " + std::to_string(name.size()));
    if (name <= name_) return bad_row("bucket " + base::printable(name) + " behind bucket " + base::printable(name_));
    name_ = name;
    in_bucket_ = true;
    last_.clear();
    return {};
  }

  base::Result<> add(base::BytesView key, base::BytesView value) {
    ETCDPP_ASSERT(in_bucket_, "a row belongs to a bucket");
    if (key.empty() || key.size() > kLongestKey) return bad_row("bucket " + base::printable(name_) + ": a key has 1 to 32768 bytes, not " + std::to_string(key.size()));
    if (value.size() > kLongestValue) return bad_row("bucket " + base::printable(name_) + ": a value of " + std::to_string(value.size()) + " bytes");
    if (key <= last_) return bad_row("bucket " + base::printable(name_) + ": row " + base::printable(key) + " behind row " + base::printable(last_));
    last_ = key;
    ++row_count_;
    return rows_->add({.flags = 0, .key_size = static_cast<std::uint32_t>(key.size()), .value_size = static_cast<std::uint32_t>(value.size()), .child = 0}, key, value);
  }

  base::Result<Plan> finish() {
    ETCDPP_TRY(begin_stream());
    ETCDPP_TRY(end_bucket());
    Plan plan;
    plan.page_size = output_.page_size();
    ETCDPP_ASSIGN(plan.root, buckets_.finish());
    plan.pages = output_.next();
    plan.rows = row_count_;
    if (expected_ && !(plan == *expected_))
      return base::Error(Errc::kOtherRows, std::to_string(plan.rows) + " rows on " + std::to_string(plan.pages) + " pages instead of " +
                                               std::to_string(expected_->rows) + " on " + std::to_string(expected_->pages));
    return plan;
  }

 private:
  static base::Error bad_row(std::string why) { return base::Error(Errc::kBadRow, std::move(why)); }

  base::Result<> begin_stream() {
    if (std::exchange(begun_, true) || output_.mode() == Mode::kSizing) return {};
    return sink_(expected_ ? meta_pages(*expected_) : base::Bytes(2 * output_.page_size(), '\0'));
  }

  base::Result<> end_bucket() {
    if (!std::exchange(in_bucket_, false)) return {};
    PageBuilder::Element element{.flags = kBucketElement, .key_size = static_cast<std::uint32_t>(name_.size()), .value_size = kBucketHead, .child = 0};
    base::Bytes value(kBucketHead, '\0');
    const PageBuilder empty(output_.mode(), kLeafPage);
    const PageBuilder* page = row_count_ == rows_before_ ? &empty : rows_->only_page();
    if (page && page->size() <= output_.page_size() / 4) {
      element.value_size += static_cast<std::uint32_t>(page->size());
      if (output_.mode() == Mode::kWriting) page->append_bytes(0, 0, value);
    } else {
      ETCDPP_ASSIGN(const std::uint64_t root, rows_->finish());
      store(value.data(), root);
    }
    rows_before_ = row_count_;
    rows_.emplace(output_);
    return buckets_.add(element, name_, value);
  }

  PageOutput output_;
  const Sink sink_;
  const std::optional<Plan> expected_;
  TreeBuilder buckets_;
  std::optional<TreeBuilder> rows_;
  bool begun_ = false;
  bool in_bucket_ = false;
  base::Bytes name_;
  base::Bytes last_;
  std::uint64_t row_count_ = 0;
  std::uint64_t rows_before_ = 0;
};

Writer::Writer(std::unique_ptr<Build> build) : build_(std::move(build)) {}
Writer::Writer(Writer&&) noexcept = default;
Writer::~Writer() = default;

Writer Writer::sizing(std::uint64_t page_size) {
  return Writer(std::make_unique<Build>(Mode::kSizing, page_size, Sink{}, std::nullopt));
}
Writer Writer::streaming(const Plan& plan, Sink sink) {
  return Writer(std::make_unique<Build>(Mode::kWriting, plan.page_size, std::move(sink), plan));
}
Writer Writer::without_metas(std::uint64_t page_size, Sink sink) {
  return Writer(std::make_unique<Build>(Mode::kWriting, page_size, std::move(sink), std::nullopt));
}

base::Result<> Writer::begin_bucket(base::BytesView name) { return build_->begin_bucket(name); }
base::Result<> Writer::add(base::BytesView key, base::BytesView value) { return build_->add(key, value); }
base::Result<Plan> Writer::finish() { return build_->finish(); }

base::Bytes meta_pages(const Plan& plan) {
  base::Bytes out(2 * plan.page_size, '\0');
  for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{1}}) {
    char* at = out.data() + number * plan.page_size;
    store(at, number);
    store(at + 8, kMetaPage);
    char* body = at + kPageHead;
    store(body, kMagic);
    store(body + 4, kVersion);
    store(body + 8, static_cast<std::uint32_t>(plan.page_size));
    store(body + 16, plan.root);
    store(body + 32, kNoFreeList);
    store(body + 40, plan.pages);
    // Transaction t writes meta t mod 2: the next one, 3, writes over the older.
    store(body + 48, 2 - number);
    store(body + 56, checksum({body, 56}));
  }
  return out;
}

}  // namespace etcdpp::bolt
