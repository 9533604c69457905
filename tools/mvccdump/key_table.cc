#include "key_table.h"

#include <algorithm>
#include <cstring>

#include "key_rows.h"

namespace etcdpp::mvccdump {

namespace {

constexpr std::size_t kChunk = 1u << 20;

}  // namespace

KeyTable::KeyTable() : slots_(std::size_t{1} << 16) {}

const char* KeyTable::keep(base::BytesView key) {
  if (key.size() > left_) {
    left_ = std::max(kChunk, key.size());
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(left_));
    room_ = chunks_.back().get();
  }
  if (!key.empty()) std::memcpy(room_, key.data(), key.size());
  const char* kept = room_;
  room_ += key.size();
  left_ -= key.size();
  return kept;
}

void KeyTable::grow() {
  slots_.assign(slots_.size() * 2, 0);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::size_t slot = entries_[i].hash & (slots_.size() - 1);
    while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = static_cast<std::uint32_t>(i + 1);
  }
}

KeyTable::Entry& KeyTable::at(base::BytesView key) {
  const std::uint64_t hash = value_hash(key);
  std::size_t slot = hash & (slots_.size() - 1);
  for (; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1)) {
    Entry& entry = entries_[slots_[slot] - 1];
    if (entry.hash == hash && entry.view() == key) return entry;
  }
  Entry entry;
  entry.key = keep(key);
  entry.key_size = static_cast<std::uint32_t>(key.size());
  entry.hash = hash;
  entries_.push_back(entry);
  slots_[slot] = static_cast<std::uint32_t>(entries_.size());
  if (entries_.size() * 2 > slots_.size()) grow();
  return entries_.back();
}

}  // namespace etcdpp::mvccdump
