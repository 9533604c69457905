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

namespace etcdpp::backend {

/// The pages of an LMDB file, read without LMDB: every number in them is checked before it is used.
///
/// LMDB trusts its file; a flipped bit there is a crash or other rows. So opening a database verifies it here first, and
/// mvccdump reads through nothing else, on files of running members too: it writes nothing, not even a lock slot.
/// Knows format 1 of LMDB 0.9 on 64 bits, little-endian (docs/formats/database.md names the structures).
///
/// A running member goes on writing. What one commit left in place stays readable until two later commits have been
/// made (LMDB reuses a page in the third transaction after the one that had it), so a scan reads in chunks, looks at the
/// metas after each, and takes a chunk again from a newer commit when it came too late. Rows of one chunk are of one
/// commit; a later chunk may be of a later one.
///
/// Threads: one. Errors: kNotADatabase, kDamaged with file and page; the system's for reading.
class PageReader {
 public:
  static base::Result<std::unique_ptr<PageReader>> open(base::Env& env, const std::string& path);

  const std::string& path() const { return file_->path(); }
  /// The commit that is read, and the pages it knows of (free ones included).
  std::uint64_t transaction() const { return meta_.transaction; }
  std::uint64_t pages() const { return meta_.last_page + 1; }
  std::uint64_t page_size() const { return page_size_; }
  /// Both metas are whole (LMDB opens a file only then; this reader needs one).
  bool both_metas() const { return both_metas_; }

  /// Whether the stored bytes of a row of a named tree are what was once written (their checksum).
  using RowCheck = std::function<bool(std::string_view tree, base::BytesView key, base::BytesView stored)>;
  /// Walks everything: both metas, each page within its bounds and filled without gaps, keys in order and between their
  /// separators, every page reached exactly once by a tree or the free list, every tree as deep as it says and with as
  /// many rows and pages, and each row by `check_row`. Of a file that nobody writes.
  /// `visit_row` is given each row of the named trees once it has been checked, in the order of its tree: what stands
  /// behind it in the file may still turn out damaged.
  using RowVisit = std::function<void(std::string_view tree, std::uint64_t page, base::BytesView key, base::BytesView stored)>;
  base::Result<> verify(const RowCheck& check_row = {}, const RowVisit& visit_row = {});

  /// Hands out key and stored bytes of the rows of a named tree with key ≥ `first`, in order.
  using Visitor = std::function<base::Result<>(base::BytesView key, base::BytesView stored)>;
  /// Whether a row belongs to the one before it: both are then of one commit.
  using Continues = std::function<bool(base::BytesView key, base::BytesView stored)>;
  base::Result<> scan(std::string_view tree, base::BytesView first, const Visitor& visit, const Continues& continues = {});

 private:
  struct Tree {
    std::uint32_t pad = 0;
    std::uint16_t flags = 0;
    std::uint16_t depth = 0;
    std::uint64_t branch_pages = 0;
    std::uint64_t leaf_pages = 0;
    std::uint64_t overflow_pages = 0;
    std::uint64_t entries = 0;
    std::uint64_t root = 0;
  };
  struct Meta {
    std::uint64_t transaction = 0;
    std::uint64_t last_page = 0;
    std::uint64_t page_size = 0;
    std::array<Tree, 2> trees;  // the free list, the main tree (names of the others)
  };
  class Page;
  class Cursor;
  class Verifier;

  explicit PageReader(std::unique_ptr<base::File> file) : file_(std::move(file)) {}
  /// Chooses the newest whole meta.
  base::Result<> read_metas();
  base::Result<> verify_metas();
  std::optional<Meta> read_meta(std::uint64_t offset);
  static Tree parse_tree(const char* bytes);
  base::Result<Page> read_page(std::uint64_t number);
  base::Result<base::Bytes> read_overflow(std::uint64_t number, std::uint64_t size, std::uint64_t& page_count);
  base::Result<std::optional<Tree>> find_tree(std::string_view name);
  /// Whether the commit that is read is still in place; looks at the file.
  base::Result<bool> in_place();
  base::Error damaged(std::uint64_t page, const std::string& what) const;

  std::unique_ptr<base::File> file_;
  std::uint64_t page_size_ = 0;
  bool both_metas_ = false;
  Meta meta_;
};

}  // namespace etcdpp::backend
