#include "format.h"

namespace etcdpp::bolt {

namespace {

bool is_page_size(std::uint64_t size) {
  return size >= kSmallestPage && size <= kLargestPage && (size & (size - 1)) == 0;
}

}  // namespace

std::optional<Meta> decode_meta(base::BytesView body) {
  if (body.size() < kMetaBody) return std::nullopt;
  const char* at = body.data();
  if (load<std::uint32_t>(at) != kMagic || load<std::uint32_t>(at + 4) != kVersion) return std::nullopt;
  if (load<std::uint64_t>(at + 56) != checksum(body.substr(0, 56))) return std::nullopt;
  Meta meta;
  meta.page_size = load<std::uint32_t>(at + 8);
  meta.root = load<std::uint64_t>(at + 16);
  const std::uint64_t free_list = load<std::uint64_t>(at + 32);
  if (free_list != kNoFreeList) meta.free_list = free_list;
  meta.pages = load<std::uint64_t>(at + 40);
  meta.transaction = load<std::uint64_t>(at + 48);
  // Whoever forges a checksum can write any size; one that no system has would only cost memory.
  if (!is_page_size(meta.page_size)) return std::nullopt;
  return meta;
}

std::optional<std::uint64_t> claimed_page_size(base::BytesView body) {
  if (body.size() < kMetaBody || load<std::uint32_t>(body.data()) != kMagic) return std::nullopt;
  const std::uint64_t size = load<std::uint32_t>(body.data() + 8);
  if (!is_page_size(size)) return std::nullopt;
  return size;
}

}  // namespace etcdpp::bolt
