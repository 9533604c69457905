#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include <etcdpp/base/bytes.h>

namespace etcdpp::wal {

/// The prefixes under which most is written, of any number of keys in bounded memory: when there are too many, the
/// rarest half is forgotten ("space saving": what is often stays, counts of what came late may be a little low). One owner.
class HotPrefixes {
 public:
  struct Heat {
    std::uint64_t writes = 0;
    std::uint64_t bytes = 0;
  };

  void add(base::BytesView key, std::uint64_t bytes) {
    Heat& heat = heats_[std::string(prefix_of(key))];
    ++heat.writes;
    heat.bytes += bytes;
    if (heats_.size() > kMost) forget();
  }

  std::vector<std::pair<std::string, Heat>> hottest(std::size_t count) const {
    std::vector<std::pair<std::string, Heat>> all(heats_.begin(), heats_.end());
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return a.second.writes != b.second.writes ? a.second.writes > b.second.writes : a.first < b.first;
    });
    if (all.size() > count) all.resize(count);
    return all;
  }

  /// Up to and with the last '/'; of a key without one, what stands before its first digit.
  static base::BytesView prefix_of(base::BytesView key) {
    key = key.substr(0, kLongest);
    const std::size_t slash = key.rfind('/');
    if (slash != base::BytesView::npos) return key.substr(0, slash + 1);
    return key.substr(0, key.find_first_of("0123456789"));
  }

 private:
  static constexpr std::size_t kMost = 16384;
  static constexpr std::size_t kLongest = 256;

  void forget() {
    std::vector<std::uint64_t> counts;
    for (const auto& [prefix, heat] : heats_) counts.push_back(heat.writes);
    std::nth_element(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 2), counts.end());
    const std::uint64_t middle = counts[counts.size() / 2];
    std::size_t surplus = heats_.size() / 2;
    std::erase_if(heats_, [&](const auto& each) { return each.second.writes <= middle && surplus > 0 && surplus-- > 0; });
  }

  std::unordered_map<std::string, Heat> heats_;
};

}  // namespace etcdpp::wal
