#include "key_index.h"

#include <algorithm>

namespace etcdpp::mvcc {

std::uint32_t KeyIndex::generation_of(std::uint32_t at) const {
  if (at >= last_generation()) return last_generation();
  const RevisionRecord* all = records();
  while (at > 0 && !all[at - 1].tombstone) --at;
  return at;
}

std::int64_t KeyIndex::created(std::uint32_t at) const {
  const std::uint32_t begin = generation_of(at);
  return begin == 0 ? first_created : records()[begin].main;
}

std::int64_t KeyIndex::version(std::uint32_t at) const {
  const std::uint32_t begin = generation_of(at);
  return (begin == 0 ? first_version : 1) + (at - begin);
}

std::uint32_t KeyIndex::up_to(std::int64_t main) const {
  const RevisionRecord* all = records();
  if (all[count - 1].main <= main) return count;  // nearly always
  const auto* end =
      std::upper_bound(all, all + count, main, [](std::int64_t m, const RevisionRecord& r) { return m < r.main; });
  return static_cast<std::uint32_t>(end - all);
}

KeyState KeyIndex::state(std::uint32_t at) const {
  const RevisionRecord& record = records()[at];
  const std::uint32_t begin = generation_of(at);
  return {.key = key(),
          .modified = record.revision(),
          .create_revision = begin == 0 ? first_created : records()[begin].main,
          .version = (begin == 0 ? first_version : 1) + (at - begin),
          .row_bytes = record.row_bytes};
}

// Records ascend in (main, sub), so the newest one ≤ main lies in the generation that etcd's walk from the last to the
// first generation would choose, and a tombstone there is its "not found, stop".
std::optional<KeyState> KeyIndex::get(std::int64_t main) const {
  const std::uint32_t n = up_to(main);
  if (n == 0 || records()[n - 1].tombstone) return std::nullopt;
  return state(n - 1);
}

std::int64_t KeyIndex::birth_or_death() const {
  return live() ? created(count - 1) : last().main;
}

KeyIndex::Cut KeyIndex::cut(std::int64_t main) const {
  const RevisionRecord* all = records();
  // The generation that counts is the first whose last revision is ≥ main, that is, the one that holds the first record
  // ≥ main; if there is none, the last one, which is empty behind a tombstone.
  const std::uint32_t at_or_above = main > 0 ? up_to(main - 1) : 0;
  if (at_or_above == count && last().tombstone) return {count, false};
  const std::uint32_t begin = generation_of(at_or_above == count ? count - 1 : at_or_above);
  std::uint32_t newest = at_or_above;  // one behind the newest record of this generation that is ≤ main
  while (newest < count && all[newest].main <= main) {
    ++newest;
    if (all[newest - 1].tombstone) break;
  }
  if (newest == begin) return {begin, false};
  return {newest - 1, true};
}

}  // namespace etcdpp::mvcc
