#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include <etcdpp/base/bytes.h>
#include <etcdpp/bolt/reader.h>

namespace etcdpp::bolt {

// The numbers of the format (docs/formats/bbolt.md).
inline constexpr std::size_t kPageHead = 16;
inline constexpr std::size_t kElementSize = 16;
inline constexpr std::size_t kBucketHead = 16;
inline constexpr std::size_t kMetaBody = 64;

inline constexpr std::uint16_t kBranchPage = 0x01;
inline constexpr std::uint16_t kLeafPage = 0x02;
inline constexpr std::uint16_t kMetaPage = 0x04;
inline constexpr std::uint16_t kFreeListPage = 0x10;
inline constexpr std::uint32_t kBucketElement = 0x01;

inline constexpr std::uint32_t kMagic = 0xED0CDAED;
inline constexpr std::uint32_t kVersion = 2;
inline constexpr std::uint64_t kNoFreeList = ~std::uint64_t{0};
/// The count of a free list with more ids than fit there.
inline constexpr std::uint16_t kLongFreeList = 0xFFFF;

inline constexpr std::uint64_t kSmallestPage = 512;
inline constexpr std::uint64_t kLargestPage = 16u << 20;
/// A tree of two children a page would be deeper than this with more pages than a file can have.
inline constexpr std::size_t kDeepestTree = 64;

template <typename T>
T load(const char* at) {
  T v;
  std::memcpy(&v, at, sizeof v);
  return v;
}
template <typename T>
void store(char* at, T v) {
  std::memcpy(at, &v, sizeof v);
}

/// FNV-1a, 64 bits.
inline std::uint64_t checksum(base::BytesView bytes) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

/// A meta from the 64 bytes behind a page head; none when it is not whole. The page size is checked too.
std::optional<Meta> decode_meta(base::BytesView body);
/// What a damaged meta still says of the page size; none when that is nothing usable.
std::optional<std::uint64_t> claimed_page_size(base::BytesView body);

}  // namespace etcdpp::bolt
