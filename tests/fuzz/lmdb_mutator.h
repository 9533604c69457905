#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include <etcdpp/base/random.h>
#include <etcdpp/mvcc/compaction.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/revision.h>

#include "made_database.h"
#include "page_mutator.h"
#include "row_format.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace etcdpp::fuzz {

/// A small sound database of ours, made once by the backend: branches, pages of long values, all buckets, a free list.
inline const std::string& sound_lmdb() {
  static const std::string whole = [] {
    std::int64_t main = 1;
    return made_database([&](backend::WriteBuffer& buffer) {
      for (int i = 0; i < 14; ++i) {
        ++main;
        const std::string key(1, static_cast<char>('a' + main % 5));
        std::string row;
        if (main % 7 == 0) {
          mvcc::append_encoded({.key = key, .value = {}}, row);
        } else {
          const std::string value(main % 13 == 0 ? 5'000 : 150, 'v');
          mvcc::append_encoded({.key = key, .create_revision = main, .mod_revision = main, .version = 1, .value = value, .lease = main % 3}, row);
        }
        buffer.append_row(mvcc::RowKeyBytes({main, 0}, main % 7 == 0), row);
      }
      for (char i = 1; i < 4; ++i) buffer.put(backend::Bucket::kLease, std::string(7, '\0') + i, std::string("\x08") + i + "\x10\x3c");
      buffer.put(backend::Bucket::kAuthUsers, std::string(600, 'u'), "\x0a\x01u");
      buffer.put(backend::Bucket::kAuthRoles, "r", "\x0a\x01r\x12\x05\x12\x01" "a\x1a\x00");
      buffer.put(backend::Bucket::kMembers, "2", R"({"id":2,"peerURLs":["http://a:1"],"name":"n"})");
      buffer.put(backend::Bucket::kCluster, "clusterVersion", "3.7.0");
      buffer.put(backend::Bucket::kMeta, mvcc::kScheduledCompactRevKey, mvcc::RowKeyBytes({4, 0}, false));
      buffer.set_conf_state(R"({"voters":[2],"auto_leave":false})");
      buffer.set_applied(static_cast<std::uint64_t>(main), 1);
    });
  }();
  return whole;
}

/// Changes one number of LMDB's structures (docs/formats/database.md), or bytes of a row, and then mostly mends the row's
/// checksum, so that what lies behind it is reached.
inline std::size_t mutate_lmdb(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  constexpr std::size_t kPage = 4096, kHead = 16;
  base::Random random(seed);
  const std::string& sound = sound_lmdb();
  if (size < 2 * kPage || random.one_in(16)) {
    size = std::min(sound.size(), max_size);
    std::memcpy(data, sound.data(), size);
  }
  if (random.one_in(10)) return LLVMFuzzerMutate(data, size, max_size);
  char* bytes = reinterpret_cast<char*>(data);
  Pages pages{random, bytes, size, kPage};
  const auto number = [&] { return pages.number(); };
  const auto put = [&](std::uint64_t at, std::uint64_t value, std::size_t width) { pages.put(at, value, width); };
  const auto get16 = [&](std::uint64_t at) {
    std::uint16_t v = 0;
    if (at + 2 <= size) std::memcpy(&v, bytes + at, 2);
    return v;
  };
  // pad, flags, depth, branch, leaf and overflow pages, entries, root.
  const auto change_tree = [&](std::uint64_t at) {
    static constexpr std::pair<std::uint8_t, std::uint8_t> kFields[] = {{0, 4}, {4, 2}, {6, 2}, {8, 8}, {16, 8}, {24, 8}, {32, 8}, {40, 8}};
    const auto [offset, width] = kFields[random.below(8)];
    put(at + offset, number(), width);
  };
  for (std::uint64_t times = 1 + random.below(3); times > 0; --times) {
    const std::uint64_t start = random.below(pages.count) * kPage;
    const std::uint64_t slots = std::min<std::uint64_t>((get16(start + 12) - kHead) / 2, 200);
    const std::uint64_t slot = start + kHead + 2 * random.below(std::max<std::uint64_t>(slots, 1));
    const std::uint64_t node = start + get16(slot);
    switch (random.below(11)) {
      case 0: put(start, number(), 8); break;
      case 1: put(start + 10, std::uint64_t{1} << random.below(8), 2); break;
      case 2: put(start + 12 + 2 * random.below(2), number(), 2); break;
      case 3: put(start + 12, number(), 4); break;
      case 4: put(slot, number(), 2); break;
      case 5: put(node + 2 * random.below(4), number(), 2); break;
      case 6: {  // both metas, so that the change is seen
        const std::uint64_t what = random.below(4);
        for (const std::uint64_t meta : {std::uint64_t{0}, kPage}) {
          if (what == 0) put(meta + kHead + 16, number(), 8);
          else if (what == 1) put(meta + kHead + 24 + 96 + 8 * random.below(2), number(), 8);
          else change_tree(meta + kHead + 24 + 48 * random.below(2));
        }
        break;
      }
      case 7: pages.size = size = random.below(size) + 1; break;
      case 8: pages.copy_over(start); break;
      case 9: {  // a row, or the record of a named tree
        const std::uint64_t key_size = get16(node + 6), value_size = get16(node);
        const std::uint64_t value = node + 8 + key_size;
        if (value_size == 0 || value + value_size > size || node + 8 > size) break;
        if (value_size == 48) {
          change_tree(value);
          break;
        }
        if (value_size < backend::kTrailerSize) break;
        put(random.one_in(4) ? node + 8 + random.below(key_size + 1) : value + random.below(value_size - backend::kTrailerSize + 1), random.next(), 1);
        if (random.one_in(8)) break;
        // Rows of `key` have 17 or 18 bytes there, their parts 5 more; the others begin with their bucket, and those of `own` with a letter.
        const base::BytesView key(bytes + node + 8, key_size), plain(bytes + value, value_size - backend::kTrailerSize);
        if ((key_size >= 17 && key_size <= 18) || (key_size >= 22 && key_size <= 23)) {
          const auto format = static_cast<backend::RowFormat>(bytes[value + plain.size()]);
          backend::put_trailer(bytes + value + plain.size(), static_cast<std::uint8_t>(backend::Bucket::kKey), key, plain, format);
        } else if (key_size > 0 && static_cast<std::uint8_t>(key[0]) <= 10) {
          backend::put_trailer(bytes + value + plain.size(), static_cast<std::uint8_t>(key[0]), key.substr(1), plain, backend::RowFormat::kPlain);
        } else {
          backend::put_trailer(bytes + value + plain.size(), backend::kOwnTree, key, plain, backend::RowFormat::kPlain);
        }
        break;
      }
      default: put(random.below(size), random.next(), 1); break;
    }
  }
  return size;
}

}  // namespace etcdpp::fuzz
