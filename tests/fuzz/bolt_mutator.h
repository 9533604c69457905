#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include <etcdpp/base/random.h>
#include <etcdpp/bolt/writer.h>

#include "format.h"
#include "page_mutator.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace etcdpp::fuzz {

/// A small sound database: what the mutator starts from, and returns to.
inline std::string sound_bolt(base::Random& random) {
  std::string out;
  const std::uint64_t page_size = std::uint64_t{512} << random.below(3);
  bolt::Writer writer = bolt::Writer::without_metas(page_size, [&](base::BytesView bytes) -> base::Result<> {
    out += bytes;
    return {};
  });
  for (const char* name : {"alarm", "auth", "authRoles", "authUsers", "cluster", "key", "lease", "members", "members_removed", "meta"}) {
    static_cast<void>(writer.begin_bucket(name));
    const std::string bucket = name;
    if (bucket == "key") {
      const std::uint64_t rows = random.below(60);
      for (std::uint64_t i = 0; i < rows; ++i) {
        char key[18];
        base::put_be64(key, i + 2);
        key[8] = '_';
        base::put_be64(key + 9, random.below(2));
        key[17] = 't';
        const char letter = static_cast<char>('a' + random.below(4));
        // KeyValue: key, create_revision, mod_revision, version, value.
        std::string value = std::string("\x0a\x01") + letter;
        const bool tombstone = random.one_in(6);
        if (!tombstone) value += std::string("\x10\x02\x18") + static_cast<char>(i + 2) + "\x20\x01\x2a" + static_cast<char>(100) + std::string(100, 'v');
        if (random.one_in(20)) value += std::string("\x2a\x88\x0e", 3) + std::string(1800, 'w');
        static_cast<void>(writer.add({key, tombstone ? 18u : 17u}, value));
      }
    } else if (bucket == "meta") {
      static_cast<void>(writer.add("confState", R"({"voters":[1],"auto_leave":false})"));
      static_cast<void>(writer.add("consistent_index", std::string("\0\0\0\0\0\0\0\7", 8)));
    } else if (bucket == "lease") {
      for (char i = 1; i < 5; ++i) static_cast<void>(writer.add(std::string(7, '\0') + i, std::string("\x08") + i + "\x10\x3c"));
    }
  }
  const auto plan = writer.finish();
  out.replace(0, 2 * page_size, bolt::meta_pages(*plan));
  return out;
}

/// Changes one number of the format, or bytes, and mostly mends the checksums of the metas, so that what lies behind them
/// is reached.
inline std::size_t mutate_bolt(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  base::Random random(seed);
  const auto fresh = [&] {
    const std::string bytes = sound_bolt(random);
    size = std::min(bytes.size(), max_size);
    std::memcpy(data, bytes.data(), size);
  };
  if (size < 2048 || random.one_in(16)) fresh();
  if (random.one_in(10)) return LLVMFuzzerMutate(data, size, max_size);
  char* bytes = reinterpret_cast<char*>(data);
  std::uint64_t page_size = bolt::load<std::uint32_t>(bytes + bolt::kPageHead + 8);
  if (page_size < 512 || page_size > 4096 || (page_size & (page_size - 1)) != 0) page_size = 512;
  Pages pages{random, bytes, size, page_size};
  const auto number = [&] { return pages.number(); };
  const auto put = [&](std::uint64_t at, std::uint64_t value, std::size_t width) { pages.put(at, value, width); };
  for (std::uint64_t times = 1 + random.below(3); times > 0; --times) {
    const std::uint64_t start = random.below(pages.count) * page_size;
    const std::uint64_t element = start + bolt::kPageHead + bolt::kElementSize * random.below(8);
    switch (random.below(10)) {
      case 0: put(start, number(), 8); break;
      case 1: put(start + 8, std::uint64_t{1} << random.below(6), 2); break;
      case 2: put(start + 10, number(), 2); break;
      case 3: put(start + 12, number(), 4); break;
      case 4: put(element + 4 * random.below(4), number(), 4); break;
      case 5: put(element + 8, number(), 8); break;
      case 6: {
        static constexpr std::uint64_t kFields[] = {8, 16, 24, 32, 40, 48};
        for (const std::uint64_t meta : {std::uint64_t{0}, page_size}) put(meta + bolt::kPageHead + kFields[random.below(6)], number(), 8);
        break;
      }
      case 7: pages.size = size = random.below(size) + 1; break;
      case 8: pages.copy_over(start); break;
      default: put(random.below(size), random.next(), 1); break;
    }
  }
  if (!random.one_in(8)) {
    for (const std::uint64_t meta : {std::uint64_t{0}, page_size})
      if (meta + bolt::kPageHead + bolt::kMetaBody <= size)
        bolt::store(bytes + meta + bolt::kPageHead + 56, bolt::checksum({bytes + meta + bolt::kPageHead, 56}));
  }
  return size;
}

}  // namespace etcdpp::fuzz
