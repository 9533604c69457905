#include "mapped_page.h"

#include <string>

#include "environment.h"

namespace etcdpp::backend {

namespace {

// LMDB's handle of the tree that holds the records of the others.
constexpr MDB_dbi kMainTree = 1;

}  // namespace

base::Error damaged_page(const Environment& environment, std::uint64_t number, const char* what) {
  return base::Error(Errc::kCorrupt, environment.path() + ": page " + std::to_string(number) + " " + what);
}

base::Result<PageView> mapped_page(const Environment& environment, std::uint64_t number) {
  PageView page;
  if (const char* wrong = look_at(environment.map(), number, page)) return damaged_page(environment, number, wrong);
  return page;
}

base::Result<TreeRoot> mapped_root(const Environment& environment, const char* record) {
  const TreeRoot root{.page = tree_root(record), .depth = tree_depth(record)};
  if (root.page != kNoPage && (root.depth == 0 || root.depth > kDeepestTree))
    return damaged_page(environment, root.page, "is the root of a tree of a wrong depth");
  return root;
}

base::Result<TreeRoot> mapped_root(const Environment& environment, MDB_txn* transaction, std::string_view tree) {
  const MappedFile& map = environment.map();
  MDB_val name = as_val(tree);
  MDB_val record;
  const int rc = mdb_get(transaction, kMainTree, &name, &record);
  if (rc != 0 || record.mv_size != kTreeRecordSize)
    return base::Error(Errc::kCorrupt, environment.path() + ": the tree " + std::string(tree) + " cannot be found any more");
  const char* bytes = static_cast<const char*>(record.mv_data);
  if (map.contains(bytes)) {
    ETCDPP_ASSIGN(PageView page, mapped_page(environment, map.page_of(bytes)));
    if (const char* wrong = page.check()) return damaged_page(environment, page.number(), wrong);
  }
  return mapped_root(environment, bytes);
}

}  // namespace etcdpp::backend
