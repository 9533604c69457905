// Rows of the database and what the rooms read out of them: any bytes decode or are refused, and what was decoded is what
// its own encoding says. The first byte of an input says how long its key is, the rest is key and stored value.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <etcdpp/lease/lessor.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/revision.h>

#include <row_parts.h>

using namespace etcdpp;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

struct NoLeaseRows final : lease::LeaseRows {
  void put(base::BytesView, base::BytesView) override {}
  void erase(base::BytesView) override {}
};

void decode_key_space(std::string_view key, std::string_view value) {
  if (const auto row = mvcc::decode_row_key(key)) require(mvcc::RowKeyBytes(row->revision, row->tombstone).view() == key);
  const auto kv = mvcc::decode_key_value(value);
  if (!kv) return;
  base::Bytes encoded;
  mvcc::append_encoded(*kv, encoded);
  require(encoded.size() == mvcc::encoded_size(*kv));
  const auto again = mvcc::decode_key_value(encoded);
  require(again && again->key == kv->key && again->value == kv->value && again->create_revision == kv->create_revision &&
          again->mod_revision == kv->mod_revision && again->version == kv->version && again->lease == kv->lease);
}

// What is stored under `key`, and behind it what may be parts of it: whatever they hold, a row is no larger than they are.
void join_row(std::string_view key, std::string_view stored) {
  backend::RowJoin join;
  auto taken = join.take(key, stored);
  std::size_t bytes = stored.size();
  for (std::uint32_t number = 1; taken == backend::RowJoin::Taken::kMore && number < 4; ++number) {
    const base::Bytes under = backend::part_key(key, number);
    require(backend::row_of_part(under) == key);
    base::Bytes part(stored.substr(0, stored.size() - backend::kTrailerSize));
    part.resize(stored.size());
    backend::put_trailer(part.data() + part.size() - backend::kTrailerSize, static_cast<std::uint8_t>(backend::Bucket::kKey), under,
                         base::BytesView(part).substr(0, part.size() - backend::kTrailerSize), backend::RowFormat::kPart);
    taken = join.take(under, part);
    bytes += part.size();
  }
  if (taken == backend::RowJoin::Taken::kRow) require(join.key() == key && join.value().size() <= bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view all(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view key = all.substr(0, data[0]), value = all.substr(key.size());
  decode_key_space(key, value);

  for (const char* tree : {"key", "small", "own"}) (void)backend::row_is_whole(tree, key, value);
  if (const auto row = backend::decode_small_row(key, value)) {
    const auto encoded = backend::encode_small_row(row->bucket, row->key, row->value);
    require(encoded.tree_key == key && encoded.stored == value);
  }
  // With a checksum that is right, the decoders behind it are reached.
  const backend::Bucket bucket = backend::kBuckets[all.size() % backend::kBuckets.size()];
  if (bucket != backend::Bucket::kKey) {
    const auto encoded = backend::encode_small_row(bucket, key, value);
    const auto row = backend::decode_small_row(encoded.tree_key, encoded.stored);
    require(row && row->bucket == bucket && row->key == key && row->value == value);
  }
  base::Bytes stored(value);
  stored.resize(value.size() + backend::kTrailerSize);
  for (const auto format : {backend::RowFormat::kPlain, backend::RowFormat::kLongKey, backend::RowFormat::kHead, backend::RowFormat::kPart}) {
    backend::put_trailer(stored.data() + value.size(), static_cast<std::uint8_t>(bucket), key, value, format);
    const auto back = backend::verified(static_cast<std::uint8_t>(bucket), key, stored, format);
    require(back && *back == value);
    join_row(key, stored);
    if (!key.empty()) {
      base::Bytes tree_key(key);
      tree_key[0] = static_cast<char>(static_cast<std::uint8_t>(bucket) | (format == backend::RowFormat::kLongKey ? 0x80 : 0));
      backend::put_trailer(stored.data() + value.size(), static_cast<std::uint8_t>(bucket), base::BytesView(tree_key).substr(1), value, format);
      (void)backend::decode_small_row(tree_key, stored);
    }
  }

  NoLeaseRows rows;
  lease::Lessor lessor({}, rows);
  (void)lessor.restore_row(key, value);
  return 0;
}
