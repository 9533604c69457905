#include <etcdpp/base/key_range.h>

namespace etcdpp::base {

std::optional<KeyRange> misplaced_keys(std::size_t count, const KeyAt& key_at, const KeyRange& range) {
  std::optional<BytesView> last, least, most;
  bool in_place = true;
  for (std::size_t i = 0; i < count; ++i) {
    const std::optional<BytesView> key = key_at(i);
    if (!key) continue;
    in_place &= (!last || *key > *last) && range.contains(*key);
    last = key;
    if (!least || *key < *least) least = key;
    if (!most || *key > *most) most = key;
  }
  if (in_place) return std::nullopt;
  return KeyRange{Bytes(*least), Bytes(*most) + '\0'};
}

std::vector<bool> placed_separators(std::size_t count, const KeyAt& key_at, const KeyRange& range) {
  std::vector<bool> placed(count);
  BytesView last;
  for (std::size_t i = 0; i < count; ++i) {
    const std::optional<BytesView> key = key_at(i);
    placed[i] = key && (i == 0 || (*key > last && *key >= range.first)) && (!range.end || *key < *range.end);
    if (placed[i]) last = *key;
  }
  return placed;
}

KeyRange below_separator(std::size_t i, const std::vector<bool>& placed, const KeyAt& key_at, const KeyRange& range) {
  KeyRange below = range;
  if (i > 0) below.first = *key_at(i);
  for (std::size_t next = i + 1; next < placed.size(); ++next) {
    if (!placed[next]) continue;
    below.end = Bytes(*key_at(next));
    break;
  }
  return below;
}

}  // namespace etcdpp::base
