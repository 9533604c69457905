#include "page.h"

#include <cstring>

namespace etcdpp::bolt {

Page::Page(base::BytesView inline_page) : bytes_(new char[inline_page.size() + 1]), size_(inline_page.size()) {
  if (!inline_page.empty()) std::memcpy(bytes_.get(), inline_page.data(), inline_page.size());
}

std::optional<Fault> Page::check_head() const {
  if (size_ < kPageHead) return Fault{0, "is shorter than a page's head"};
  if (load<std::uint64_t>(bytes_.get()) != number_) return Fault{0, "carries another page's number"};
  if (!is_branch() && !is_leaf()) return Fault{8, "is neither branch nor leaf"};
  if (element_offset(count()) > size_) return Fault{10, "has more elements than it has room"};
  if (is_branch() && count() == 0) return Fault{10, "is a branch without children"};
  return std::nullopt;
}

std::optional<Fault> Page::check_element(std::size_t i) const {
  const std::size_t offset = element_offset(i);
  const char* at = element(i);
  const std::uint64_t room = size_ - offset;
  const std::uint64_t behind_array = element_offset(count()) - offset;
  if (is_branch()) {
    const std::uint64_t position = load<std::uint32_t>(at), key_size = load<std::uint32_t>(at + 4);
    if (position < behind_array) return Fault{offset, "has a key inside of its head"};
    if (position + key_size > room) return Fault{offset, "has a key outside of its bounds"};
    return std::nullopt;
  }
  const std::uint32_t element_flags = load<std::uint32_t>(at);
  const std::uint64_t position = load<std::uint32_t>(at + 4), key_size = load<std::uint32_t>(at + 8),
                      value_size = load<std::uint32_t>(at + 12);
  if (element_flags & ~kBucketElement) return Fault{offset, "has an element of an unknown kind"};
  if (position < behind_array) return Fault{offset, "has a key inside of its head"};
  if (position + key_size > room) return Fault{offset, "has a key outside of its bounds"};
  if (position + key_size + value_size > room) return Fault{offset, "has a value outside of its bounds"};
  return std::nullopt;
}

std::optional<Fault> Page::check() const {
  if (const auto fault = check_head()) return fault;
  for (std::size_t i = 0; i < count(); ++i)
    if (const auto fault = check_element(i)) return fault;
  return std::nullopt;
}

std::size_t Page::lower_bound(base::BytesView wanted) const {
  std::size_t low = 0;
  std::size_t high = count();
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    const bool before = is_branch() ? key(middle) <= wanted : key(middle) < wanted;
    if (before) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  // The first child also holds what is below its own key.
  return is_branch() ? low - (low > 0) : low;
}

std::optional<Bucket> decode_bucket(base::BytesView name, base::BytesView value) {
  if (value.size() < kBucketHead) return std::nullopt;
  Bucket bucket{base::Bytes(name), load<std::uint64_t>(value.data()), load<std::uint64_t>(value.data() + 8), {}};
  if (bucket.root == 0) {
    if (value.size() < kBucketHead + kPageHead) return std::nullopt;
    bucket.inline_page = value.substr(kBucketHead);
  }
  return bucket;
}

}  // namespace etcdpp::bolt
