#include <etcdpp/bolt/reader.h>

#include <algorithm>
#include <utility>

#include <etcdpp/bolt/errc.h>

#include "cursor.h"

namespace etcdpp::bolt {

namespace {

// A part of a scan: small enough to be read between two commits of a busy member.
constexpr std::size_t kPartRows = 4'096;
constexpr std::size_t kPartBytes = 1u << 20;
constexpr int kPartTries = 100;

// Rows of one part, kept until it is known that they were of one commit.
class Part {
 public:
  void clear() {
    bytes_.clear();
    rows_.clear();
  }
  void add(base::BytesView key, base::BytesView value) {
    rows_.push_back({bytes_.size(), key.size(), value.size()});
    bytes_.append(key).append(value);
  }
  std::size_t rows() const { return rows_.size(); }
  std::size_t bytes() const { return bytes_.size(); }
  base::BytesView key(std::size_t i) const { return base::BytesView(bytes_).substr(rows_[i].at, rows_[i].key_size); }
  base::BytesView value(std::size_t i) const {
    return base::BytesView(bytes_).substr(rows_[i].at + rows_[i].key_size, rows_[i].value_size);
  }

 private:
  struct Row {
    std::size_t at, key_size, value_size;
  };
  base::Bytes bytes_;
  std::vector<Row> rows_;
};

std::optional<Meta> read_meta(base::File& file, std::uint64_t offset) {
  char bytes[kPageHead + kMetaBody];
  const auto got = file.read_at(offset, bytes, sizeof bytes);
  if (!got || *got != sizeof bytes) return std::nullopt;
  return decode_meta({bytes + kPageHead, kMetaBody});
}

}  // namespace

Reader::Reader(std::unique_ptr<PageFile> pages) : pages_(std::move(pages)) {}
Reader::~Reader() = default;

base::Result<std::unique_ptr<Reader>> Reader::open(base::Env& env, const std::string& path) {
  ETCDPP_ASSIGN(auto file, env.open(path, base::OpenMode::kReadOnly));
  std::unique_ptr<Reader> reader(new Reader(std::make_unique<PageFile>(std::move(file))));
  ETCDPP_TRY(reader->read_metas());
  return reader;
}

const std::string& Reader::path() const { return pages_->path(); }

base::Result<> Reader::read_metas() {
  base::File& file = pages_->file();
  ETCDPP_ASSIGN(file_size_, file.size());
  std::array<std::optional<Meta>, 2> metas;
  metas[0] = read_meta(file, 0);
  if (metas[0]) {
    metas[1] = read_meta(file, metas[0]->page_size);
  } else {
    // Without the first, the second stands at some page size.
    for (std::uint64_t at = kSmallestPage; at <= kLargestPage && at < file_size_ && !metas[1]; at *= 2) {
      metas[1] = read_meta(file, at);
      if (metas[1] && metas[1]->page_size != at) metas[1].reset();
    }
  }
  if (metas[0] && metas[1] && metas[1]->page_size != metas[0]->page_size) metas[1].reset();
  if (!metas[0] && !metas[1]) return base::Error(Errc::kNotADatabase, path());
  metas_ = metas;
  meta_ = metas[0] && (!metas[1] || metas[0]->transaction >= metas[1]->transaction) ? *metas[0] : *metas[1];
  pages_->set_geometry(meta_.page_size, std::min(meta_.pages, UINT64_MAX / kLargestPage));
  return {};
}

base::Result<bool> Reader::in_place() {
  base::File& file = pages_->file();
  const auto first = read_meta(file, 0);
  const auto second = read_meta(file, meta_.page_size);
  // One that is not whole is being written, or was not whole before.
  const std::uint64_t newest = std::max(first ? first->transaction : 0, second ? second->transaction : 0);
  return newest == meta_.transaction && first.has_value() == metas_[0].has_value() && second.has_value() == metas_[1].has_value();
}

base::Result<std::vector<Bucket>> Reader::buckets() {
  for (int tries = 0; tries < kPartTries; ++tries) {
    std::vector<Bucket> found;
    const auto read_all = [&]() -> base::Result<> {
      Cursor cursor(*pages_, Bucket{{}, meta_.root, 0, {}});
      auto there = cursor.seek({});
      for (; there && *there; there = cursor.next()) {
        if (!cursor.is_bucket()) return pages_->damaged(cursor.page(), cursor.offset(), "has a row among the buckets");
        if (found.size() >= kMostBuckets) return base::Error(Errc::kTooLarge, path() + ": more than " + std::to_string(kMostBuckets) + " buckets");
        auto bucket = decode_bucket(cursor.key(), cursor.value());
        if (!bucket) return pages_->damaged(cursor.page(), cursor.offset(), "has a bucket of the wrong length");
        found.push_back(std::move(*bucket));
      }
      ETCDPP_TRY(there);
      return {};
    };
    const base::Result<> read = read_all();
    ETCDPP_ASSIGN(const bool still, in_place());
    if (still) {
      ETCDPP_TRY(read);
      return found;
    }
    ETCDPP_TRY(read_metas());
  }
  return base::Error(Errc::kBusy, path());
}

base::Result<std::optional<Bucket>> Reader::find_bucket(base::BytesView name) {
  Cursor cursor(*pages_, Bucket{{}, meta_.root, 0, {}});
  ETCDPP_ASSIGN(const bool there, cursor.seek(name));
  if (!there || cursor.key() != name) return std::optional<Bucket>();
  auto bucket = cursor.is_bucket() ? decode_bucket(cursor.key(), cursor.value()) : std::nullopt;
  if (!bucket) return pages_->damaged(cursor.page(), cursor.offset(), "has no whole bucket under the name " + base::printable(name));
  return bucket;
}

base::Result<> Reader::scan(base::BytesView bucket_name, base::BytesView first, const Visitor& visit) {
  base::Bytes from(first);
  Part part;
  std::unique_ptr<Cursor> cursor;
  bool there = false;
  int tries = 0;
  const auto read_part = [&]() -> base::Result<> {
    if (!cursor) {
      ETCDPP_ASSIGN(const auto bucket, find_bucket(bucket_name));
      if (!bucket) {
        there = false;
        return {};
      }
      cursor = std::make_unique<Cursor>(*pages_, *bucket);
      ETCDPP_ASSIGN(there, cursor->seek(from));
    }
    const std::size_t most_rows = std::max<std::size_t>(kPartRows >> std::min(tries, 8), 16);
    while (there && part.rows() < most_rows && part.bytes() < kPartBytes) {
      if (cursor->is_bucket()) return pages_->damaged(cursor->page(), cursor->offset(), "has a bucket among the rows");
      part.add(cursor->key(), cursor->value());
      ETCDPP_ASSIGN(there, cursor->next());
    }
    return {};
  };
  do {
    part.clear();
    const base::Result<> read = read_part();
    ETCDPP_ASSIGN(const bool still, in_place());
    if (!still) {
      // A commit has gone over it. Newer rows are as good: the next try reads them.
      if (++tries > kPartTries) return base::Error(Errc::kBusy, path());
      cursor.reset();
      ETCDPP_TRY(read_metas());
      there = true;
      continue;
    }
    // What was read before the damage is true: it is handed out, so that a reader sees how far the file goes.
    for (std::size_t i = 0; i < part.rows(); ++i) ETCDPP_TRY(visit(part.key(i), part.value(i)));
    ETCDPP_TRY(read);
    tries = 0;
    if (part.rows() > 0) {
      from = part.key(part.rows() - 1);
      from += '\0';
    }
  } while (there);
  return {};
}

}  // namespace etcdpp::bolt
