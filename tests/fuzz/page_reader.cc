// A database file in any state: reading it by itself, verifying it, and taking rows out of what is left of it end in rows or
// in an error.
//
// The first byte of an input says what the rest is: 0, the file itself; else places of a whole file (made once, by the
// backend) and what to put there: three bytes of offset, one of value, again and again.

#include <cstdint>
#include <cstdlib>
#include <string>

#include <etcdpp/backend/database_file.h>
#include <etcdpp/backend/salvage.h>

#include "made_database.h"
#include "memory_env.h"

using namespace etcdpp;

namespace {

constexpr const char* kPath = "data.lmdb";

std::string row_key(std::uint64_t main) {
  std::string key(17, '_');
  base::put_be64(key.data(), main);
  base::put_be64(key.data() + 9, 0);
  return key;
}

// A few branches, values on pages of their own, long keys, a free list.
std::string whole_file() {
  std::uint64_t main = 1;
  return fuzz::made_database([&](backend::WriteBuffer& buffer) {
    for (int i = 0; i < 60; ++i, ++main) buffer.append_row(row_key(main), std::string(main % 9 == 0 ? 5'000 : main % 97, 'v'));
    for (int i = 0; i < 9; ++i) buffer.put(backend::Bucket::kLease, std::string(i % 3 == 0 ? 600 : 8, static_cast<char>('a' + i)), "lease");
    buffer.set_applied(main, 1);
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string whole = whole_file();
  if (size == 0) return 0;
  std::string bytes;
  if (data[0] == 0) {
    bytes.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  } else {
    bytes = whole;
    for (std::size_t at = 1; at + 4 <= size; at += 4) {
      const std::size_t offset = data[at] | std::size_t{data[at + 1]} << 8 | std::size_t{data[at + 2]} << 16;
      // The low half of the offsets goes to heads of pages, where structure is.
      const std::size_t place = offset < (1u << 23) ? offset % (whole.size() / 4096) * 4096 + (offset >> 12) % 256 : offset % whole.size();
      bytes[place] = static_cast<char>(data[at + 3]);
    }
  }
  fuzz::MemoryEnv env;
  env.put(kPath, bytes);
  const auto nothing = [](base::BytesView, base::BytesView) -> base::Result<> { return {}; };
  if (auto file = backend::DatabaseFile::open(env, kPath)) {
    auto& pages = (*file)->pages();
    const bool sound = pages.both_metas() && pages.verify().has_value();
    bool scanned = true;
    for (const char* tree : {"key", "small", "own"}) scanned &= pages.scan(tree, {}, nothing).has_value();
    (void)(*file)->identity();
    for (const backend::Bucket bucket : backend::kBuckets)
      scanned &= (*file)->scan_bucket(bucket, [](const backend::DatabaseFile::FileRow&) -> base::Result<> { return {}; }).has_value();
    // What was verified can be read.
    if (sound && !scanned) std::abort();
  }
  (void)backend::salvage(env, kPath, [](const backend::SalvagedRow&) -> base::Result<> { return {}; });
  return 0;
}
