#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>

namespace etcdpp::bolt {

class PageFile;

/// What a meta page says. The newer whole one of the two is where reading begins.
struct Meta {
  std::uint64_t page_size = 0;
  std::uint64_t root = 0;
  /// Absent: free pages are not listed (etcd never lists them), free is what no tree reaches.
  std::optional<std::uint64_t> free_list;
  /// Pages in use: the first number never handed out.
  std::uint64_t pages = 0;
  std::uint64_t transaction = 0;
};

/// A bucket of the database: a tree of its own, or, if small, a page inside of its value.
struct Bucket {
  base::Bytes name;
  std::uint64_t root = 0;
  std::uint64_t sequence = 0;
  base::Bytes inline_page;
};

/// Reads a bbolt database, sound or damaged: etcd's `member/snap/db`, a saved snapshot, a member's while it runs.
///
/// mvccdump and the takeover of an etcd member read through it. Nothing in the file is believed: every number is checked
/// before it is used, every walk ends, and an error names file, page and byte. Format: docs/formats/bbolt.md. Any page
/// size from 512 bytes to 16 MiB. Opens for reading only and takes no lock.
///
/// A running etcd goes on writing: what one commit left in place holds until the next one is complete. So a scan reads in
/// parts, looks at the metas behind each, and takes a part again from the newer commit when it came too late: rows of one
/// part are of one commit, later ones may be of a later commit.
///
/// Threads: one. Memory: the pages from root to leaf (kMostBytesHeld at most) and one part of a scan.
/// Errors: kNotADatabase, kDamaged, kTooLarge, kBusy; the system's for reading.
class Reader {
 public:
  static base::Result<std::unique_ptr<Reader>> open(base::Env& env, const std::string& path);
  ~Reader();

  const std::string& path() const;
  std::uint64_t file_size() const { return file_size_; }
  /// The meta that is read.
  const Meta& meta() const { return meta_; }
  /// Both as they stand in the file; none where one is not whole.
  const std::array<std::optional<Meta>, 2>& metas() const { return metas_; }

  /// The buckets in order of name.
  base::Result<std::vector<Bucket>> buckets();

  /// Hands out the rows of a bucket with key ≥ `first`, in order; an absent bucket has none. An error of the visitor ends
  /// the scan and is its result.
  using Visitor = std::function<base::Result<>(base::BytesView key, base::BytesView value)>;
  base::Result<> scan(base::BytesView bucket, base::BytesView first, const Visitor& visit);

  /// Whether the commit that is read is still the newest; looks at the file.
  base::Result<bool> in_place();
  /// Goes on with the newest commit.
  base::Result<> read_metas();

  static constexpr std::uint64_t kMostBytesHeld = std::uint64_t{512} << 20;
  static constexpr std::size_t kMostBuckets = 10'000;

  /// The pages, for the sources of this library only.
  const PageFile& pages() const { return *pages_; }

 private:
  explicit Reader(std::unique_ptr<PageFile> pages);
  base::Result<std::optional<Bucket>> find_bucket(base::BytesView name);

  std::unique_ptr<PageFile> pages_;
  std::uint64_t file_size_ = 0;
  Meta meta_;
  std::array<std::optional<Meta>, 2> metas_;
};

}  // namespace etcdpp::bolt
