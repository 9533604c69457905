#pragma once

#include <cstddef>
#include <cstdint>

namespace etcdpp::backend {

// The numbers of LMDB's file format that the page reader needs.
inline constexpr std::size_t kPageHead = 16;
inline constexpr std::size_t kNodeHead = 8;
inline constexpr std::size_t kTreeRecordSize = 48;
inline constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
inline constexpr std::size_t kDeepestTree = 32;

// A meta page, behind its head: magic, version, where the map was, its size, two trees, the last page, the transaction.
inline constexpr std::uint32_t kMagic = 0xBEEFC0DE;
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::size_t kMetaSize = 24 + 2 * kTreeRecordSize + 16;
inline constexpr std::uint64_t kSmallestPage = 512;
inline constexpr std::uint64_t kLargestPage = 32768;

inline constexpr std::uint16_t kBranchPage = 0x01;
inline constexpr std::uint16_t kLeafPage = 0x02;
inline constexpr std::uint16_t kOverflowPage = 0x04;
inline constexpr std::uint16_t kMetaPage = 0x08;
// Marks of the process that wrote the page; they mean nothing to a reader.
inline constexpr std::uint16_t kKeepFlags = 0x10 | 0x4000 | 0x8000;

inline constexpr std::uint16_t kBigData = 0x01;
inline constexpr std::uint16_t kSubTree = 0x02;

// Flags of a tree: its keys are numbers.
inline constexpr std::uint16_t kIntegerKey = 0x08;
inline constexpr std::uint16_t kStandsAlone = 0x4000;

}  // namespace etcdpp::backend
