#pragma once

#include <lmdb.h>

#include <cstdint>
#include <string_view>

#include <etcdpp/base/result.h>

#include "mapped_file.h"
#include "page_view.h"
#include "tree_root.h"

namespace etcdpp::backend {

class Environment;

/// kCorrupt with file and page.
base::Error damaged_page(const Environment& environment, std::uint64_t number, const char* what);

/// What is wrong with a branch or leaf in the map, or null: its bounds are checked and no more.
inline const char* look_at(const MappedFile& map, std::uint64_t number, PageView& page) {
  if (number < 2 || !map.contains(map.page(number) + map.page_size() - 1)) return "is outside of the file";
  page = PageView(number, {map.page(number), map.page_size()});
  return page.check_bounds();
}
/// The same as an error.
base::Result<PageView> mapped_page(const Environment& environment, std::uint64_t number);

/// What the record of a tree says.
base::Result<TreeRoot> mapped_root(const Environment& environment, const char* record);
/// The same of one of the named trees; the page where its record stands is checked.
base::Result<TreeRoot> mapped_root(const Environment& environment, MDB_txn* transaction, std::string_view tree);

}  // namespace etcdpp::backend
