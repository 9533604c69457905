#pragma once

#include <optional>
#include <span>

#include <etcdpp/backend/database.h>
#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>

namespace etcdpp::backend {

class Environment;
struct Reader;

/// The stored bytes of a row of the tree `key` as `reader` sees it, straight from the map; none if there is no such row.
///
/// What mdb_get finds, with fewer steps. Rows carry revisions, which hardly leave gaps, so where a row stands in a page
/// is computed from the keys that the page lies between, and looked for around there; a binary search would wait for
/// memory at each of its steps, and touch most of a leaf's lines.
///
/// `expected_size` is how long the value in them will be, 0 if that is not known. Rows beside each other are mostly of one
/// length, so memory is asked for where the row then lies at once with the page's head.
///
/// Every page and node on the way is checked to lie within its bounds before it is used; the row's checksum is the
/// caller's. Threads: the reader's. Errors: kCorrupt.
base::Result<std::optional<base::BytesView>> find_row(const Environment& environment, Reader& reader, base::BytesView row_key,
                                                     std::size_t expected_size = 0);

/// The same of several rows: each gets its stored bytes as `value`. All go down a page at a
/// time, so while one waits for its next page the others' pages are on their way too.
base::Result<> find_rows(const Environment& environment, Reader& reader, std::span<RowLookup> lookups);

}  // namespace etcdpp::backend
