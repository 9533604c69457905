#include "page_builder.h"

namespace etcdpp::bolt {

void PageBuilder::clear() {
  elements_.clear();
  data_.clear();
  size_ = kPageHead;
}

void PageBuilder::add(const Element& element, base::BytesView key, base::BytesView value) {
  elements_.push_back(element);
  size_ += element.bytes();
  if (mode_ == Mode::kWriting) data_.append(key).append(value);
}

void PageBuilder::move_last(PageBuilder& to) {
  const Element element = elements_.back();
  elements_.pop_back();
  size_ -= element.bytes();
  to.elements_.insert(to.elements_.begin(), element);
  to.size_ += element.bytes();
  if (mode_ == Mode::kSizing) return;
  const std::size_t bytes = element.key_size + element.value_size;
  to.data_.insert(0, data_, data_.size() - bytes, bytes);
  data_.resize(data_.size() - bytes);
}

base::BytesView PageBuilder::first_key() const {
  if (mode_ == Mode::kSizing) return {};
  return base::BytesView(data_).substr(0, elements_.front().key_size);
}

void PageBuilder::append_bytes(std::uint64_t number, std::uint32_t overflow, base::Bytes& out) const {
  char head[kPageHead];
  store(head, number);
  store(head + 8, flags_);
  store(head + 10, static_cast<std::uint16_t>(elements_.size()));
  store(head + 12, overflow);
  out.append(head, sizeof head);
  std::uint64_t data_at = kPageHead + kElementSize * elements_.size();
  std::uint64_t element_at = kPageHead;
  for (const Element& element : elements_) {
    char bytes[kElementSize];
    const auto position = static_cast<std::uint32_t>(data_at - element_at);
    if (flags_ == kLeafPage) {
      store(bytes, element.flags);
      store(bytes + 4, position);
      store(bytes + 8, element.key_size);
      store(bytes + 12, element.value_size);
    } else {
      store(bytes, position);
      store(bytes + 4, element.key_size);
      store(bytes + 8, element.child);
    }
    out.append(bytes, sizeof bytes);
    data_at += element.key_size + element.value_size;
    element_at += kElementSize;
  }
  out.append(data_);
}

void PageBuilder::append_page(std::uint64_t number, std::uint64_t page_count, std::uint64_t page_size, base::Bytes& out) const {
  if (mode_ == Mode::kSizing) return;
  const std::size_t end = out.size() + page_count * page_size;
  append_bytes(number, static_cast<std::uint32_t>(page_count - 1), out);
  out.resize(end, '\0');
}

}  // namespace etcdpp::bolt
