#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/tree_index.h>

namespace etcdpp::mvcc {

/// The slow and obvious twin of the index: generations as lists, written straight from etcd's rules.
struct IndexModel {
  struct Gen {
    std::int64_t created = 0;
    std::int64_t version = 0;
    std::vector<Revision> revs;
  };
  struct Key {
    std::vector<Gen> generations{Gen{}};
  };
  std::map<std::string, Key> keys;
  std::map<Revision, std::uint32_t> row_bytes;

  void put(const std::string& key, Revision r, std::uint32_t bytes) {
    auto& gens = keys[key].generations;
    if (gens.back().revs.empty()) gens.back().created = r.main;
    gens.back().revs.push_back(r);
    ++gens.back().version;
    row_bytes[r] = bytes;
  }
  bool tombstone(const std::string& key, Revision r, std::uint32_t bytes) {
    auto at = keys.find(key);
    if (at == keys.end() || at->second.generations.back().revs.empty()) return false;
    put(key, r, bytes);
    at->second.generations.emplace_back();
    return true;
  }

  struct Found {
    Revision modified;
    std::int64_t created;
    std::int64_t version;
    friend bool operator==(const Found&, const Found&) = default;
  };
  std::optional<Found> get(const std::string& key, std::int64_t at) const {
    auto it = keys.find(key);
    if (it == keys.end()) return std::nullopt;
    const auto& gens = it->second.generations;
    for (std::size_t g = gens.size(); g-- > 0;) {
      const Gen& gen = gens[g];
      if (gen.revs.empty()) continue;
      if (g + 1 != gens.size() && gen.revs.back().main <= at) return std::nullopt;
      if (gen.revs.front().main > at) continue;
      std::size_t n = gen.revs.size();
      while (gen.revs[n - 1].main > at) --n;
      return Found{gen.revs[n - 1], gen.created, gen.version - static_cast<std::int64_t>(gen.revs.size() - n)};
    }
    return std::nullopt;
  }

  // The generation that counts for compaction at n, and one behind its newest revision ≤ n.
  static std::pair<std::size_t, std::size_t> locate(const Key& key, std::int64_t n) {
    std::size_t g = 0;
    while (g + 1 < key.generations.size() && key.generations[g].revs.back().main < n) ++g;
    const auto& revs = key.generations[g].revs;
    std::size_t r = 0;
    while (r < revs.size() && revs[r].main <= n) ++r;
    return {g, r};
  }
  std::set<Revision> keep(std::int64_t n) const {
    std::set<Revision> kept;
    for (const auto& [name, key] : keys) {
      const auto [g, r] = locate(key, n);
      if (r == 0) continue;
      const bool tombstone = g + 1 != key.generations.size() && r == key.generations[g].revs.size();
      if (!tombstone) kept.insert(key.generations[g].revs[r - 1]);
    }
    return kept;
  }
  std::set<Revision> compact(std::int64_t n) {
    std::set<Revision> kept;
    for (auto at = keys.begin(); at != keys.end();) {
      auto& gens = at->second.generations;
      const auto [g, r] = locate(at->second, n);
      if (r > 0) {
        auto& revs = gens[g].revs;
        kept.insert(revs[r - 1]);
        revs.erase(revs.begin(), revs.begin() + static_cast<std::ptrdiff_t>(r - 1));
      }
      gens.erase(gens.begin(), gens.begin() + static_cast<std::ptrdiff_t>(g));
      at = gens.size() == 1 && gens[0].revs.empty() ? keys.erase(at) : std::next(at);
    }
    return kept;
  }
};

}  // namespace etcdpp::mvcc
