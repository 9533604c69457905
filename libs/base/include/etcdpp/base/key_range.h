#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include <etcdpp/base/bytes.h>

namespace etcdpp::base {

/// Keys with first ≤ key < end; without end: to the last.
struct KeyRange {
  Bytes first;
  std::optional<Bytes> end;

  bool contains(BytesView key) const { return key >= first && (!end || key < *end); }
};

// What salvage believes of a page in a search tree whose pages are in doubt. `range` is what the separators above say of it.
// Pure; the page's owner says what its keys are.

/// The key at a place of a page; none when it cannot be read.
using KeyAt = std::function<std::optional<BytesView>(std::size_t)>;

/// Of a leaf: nothing when its keys are in order and within `range`; else the range that they themselves make up.
std::optional<KeyRange> misplaced_keys(std::size_t count, const KeyAt& key_at, const KeyRange& range);

/// Of a branch: which separators can be read, are in order and within `range`. The first child also holds what is below its
/// own key, so that key is not looked at from below.
std::vector<bool> placed_separators(std::size_t count, const KeyAt& key_at, const KeyRange& range);

/// What the child behind a placed separator holds: up to the next one that is placed.
KeyRange below_separator(std::size_t i, const std::vector<bool>& placed, const KeyAt& key_at, const KeyRange& range);

}  // namespace etcdpp::base
