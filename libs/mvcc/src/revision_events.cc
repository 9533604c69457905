// mvccpb.Event is {1: type (PUT 0, DELETE 1), 2: kv, 3: prev_kv}. A zero is left out, so a put's event is its kv alone;
// prev_kv has the highest number, so whoever wants it appends it to these bytes.
#include <etcdpp/mvcc/revision_events.h>

#include <cstring>
#include <limits>
#include <new>

#include <etcdpp/base/assert.h>
#include <etcdpp/mvcc/key_value.h>

namespace etcdpp::mvcc {

namespace {
constexpr char kTypeTag = 1 << 3, kKvTag = 2 << 3 | 2, kDelete = 1;
}

Event RevisionEvents::operator[](std::size_t i) const {
  const Place& place = block_->places()[i];
  const char* data = block_->data();
  return {{data + place.key_at, place.key_size}, {data + place.encoded_at, place.encoded_size}, place.tombstone, place.creates};
}

void RevisionEvents::release(Block* block) {
  block->~Block();
  ::operator delete(block);
}

void RevisionEventsBuilder::add(base::BytesView key, base::BytesView key_value, bool tombstone, bool creates) {
  const std::size_t encoded_at = bytes_.size();
  if (tombstone) {
    bytes_ += kTypeTag;
    bytes_ += kDelete;
  }
  bytes_ += kKvTag;
  std::size_t length = key_value.size();
  for (; length >= 0x80; length >>= 7) bytes_ += static_cast<char>(length | 0x80);
  bytes_ += static_cast<char>(length);
  // The key is read out of the KeyValue, where it is the first field: tag, length, bytes.
  const std::size_t key_at = bytes_.size() + (key.empty() ? 0 : 1 + varint_size(key.size()));
  bytes_ += key_value;
  ETCDPP_ASSERT(bytes_.size() - key_at >= key.size() && std::memcmp(bytes_.data() + key_at, key.data(), key.size()) == 0,
                "an event's KeyValue does not begin with its key");
  places_.push_back({static_cast<std::uint32_t>(encoded_at), static_cast<std::uint32_t>(bytes_.size() - encoded_at),
                     static_cast<std::uint32_t>(key_at), static_cast<std::uint32_t>(key.size()), tombstone, creates});
}

RevisionEvents RevisionEventsBuilder::take(std::int64_t revision) {
  RevisionEvents events;
  if (bytes_.size() <= std::numeric_limits<std::uint32_t>::max()) {
    const std::size_t place_bytes = places_.size() * sizeof(RevisionEvents::Place);
    const std::size_t total = sizeof(RevisionEvents::Block) + place_bytes + bytes_.size();
    events.block_ = static_cast<RevisionEvents::Block*>(::operator new(total));
    new (events.block_) RevisionEvents::Block{{1}, static_cast<std::uint32_t>(places_.size()), revision, total};
    char* rest = reinterpret_cast<char*>(events.block_ + 1);
    if (place_bytes > 0) std::memcpy(rest, places_.data(), place_bytes);
    if (!bytes_.empty()) std::memcpy(rest + place_bytes, bytes_.data(), bytes_.size());
  }
  places_.clear();
  bytes_.clear();
  // One huge transaction must not hold its memory for ever.
  constexpr std::size_t kKeep = 1 << 20;
  if (bytes_.capacity() > kKeep) base::Bytes().swap(bytes_);
  if (places_.capacity() * sizeof(RevisionEvents::Place) > kKeep) std::vector<RevisionEvents::Place>().swap(places_);
  return events;
}

}  // namespace etcdpp::mvcc
