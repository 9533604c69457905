#include "row_format.h"

#include <openssl/sha.h>

#include <cstring>

#include <etcdpp/base/crc32c.h>

namespace etcdpp::backend {

namespace {

constexpr std::uint8_t kLongKeyFlag = 0x80;

std::uint32_t row_crc(std::uint8_t bucket, base::BytesView key, base::BytesView value, RowFormat format) {
  const char bucket_byte = static_cast<char>(bucket);
  const char format_byte = static_cast<char>(format);
  std::uint32_t crc = base::crc32c(0, {&bucket_byte, 1});
  // In a page they stand side by side.
  if (key.data() + key.size() == value.data()) {
    crc = base::crc32c(crc, {key.data(), key.size() + value.size()});
  } else {
    crc = base::crc32c(crc, key);
    crc = base::crc32c(crc, value);
  }
  return base::crc32c(crc, {&format_byte, 1});
}

base::Bytes digest_key(Bucket bucket, base::BytesView key) {
  base::Bytes out(1 + SHA256_DIGEST_LENGTH, '\0');
  out[0] = static_cast<char>(static_cast<std::uint8_t>(bucket) | kLongKeyFlag);
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), reinterpret_cast<unsigned char*>(out.data() + 1));
  return out;
}

bool is_small_bucket(std::uint8_t byte) {
  return byte >= static_cast<std::uint8_t>(Bucket::kAlarm) && byte <= static_cast<std::uint8_t>(Bucket::kMeta) &&
         byte != static_cast<std::uint8_t>(Bucket::kKey);
}

}  // namespace

std::optional<RowFormat> format_of(base::BytesView stored) {
  if (stored.size() < kTrailerSize) return std::nullopt;
  return static_cast<RowFormat>(stored[stored.size() - kTrailerSize]);
}

void put_trailer(char* out, std::uint8_t bucket, base::BytesView key, base::BytesView value, RowFormat format) {
  *out = static_cast<char>(format);
  const std::uint32_t crc = row_crc(bucket, key, value, format);
  std::memcpy(out + 1, &crc, 4);
}

std::optional<base::BytesView> verified(std::uint8_t bucket, base::BytesView key, base::BytesView stored, RowFormat format) {
  if (format_of(stored) != format) return std::nullopt;
  const base::BytesView value = stored.substr(0, stored.size() - kTrailerSize);
  std::uint32_t crc;
  std::memcpy(&crc, value.data() + value.size() + 1, 4);
  if (crc != row_crc(bucket, key, value, format)) return std::nullopt;
  return value;
}

base::Bytes small_tree_key(Bucket bucket, base::BytesView key) {
  if (key.size() > kLongestPlainKey) return digest_key(bucket, key);
  base::Bytes out;
  out.reserve(1 + key.size());
  out += static_cast<char>(bucket);
  out += key;
  return out;
}

SmallRow encode_small_row(Bucket bucket, base::BytesView key, base::BytesView value) {
  const bool is_long = key.size() > kLongestPlainKey;
  SmallRow row{small_tree_key(bucket, key), {}};
  if (is_long) {
    row.stored.resize(4);
    put_be32(row.stored.data(), static_cast<std::uint32_t>(key.size()));
    row.stored += key;
  }
  row.stored += value;
  const std::size_t before_trailer = row.stored.size();
  row.stored.resize(before_trailer + kTrailerSize);
  // A long key is checked as part of the value, a short one as the tree's key without its bucket byte.
  const base::BytesView tree_key = base::BytesView(row.tree_key).substr(1);
  put_trailer(row.stored.data() + before_trailer, static_cast<std::uint8_t>(bucket), tree_key,
              base::BytesView(row.stored).substr(0, before_trailer), is_long ? RowFormat::kLongKey : RowFormat::kPlain);
  return row;
}

std::optional<DecodedSmallRow> decode_small_row(base::BytesView tree_key, base::BytesView stored) {
  if (tree_key.empty()) return std::nullopt;
  const std::uint8_t first = static_cast<std::uint8_t>(tree_key[0]);
  const bool is_long = (first & kLongKeyFlag) != 0;
  const std::uint8_t bucket = first & static_cast<std::uint8_t>(~kLongKeyFlag);
  if (!is_small_bucket(bucket)) return std::nullopt;
  const base::BytesView key = tree_key.substr(1);
  const auto value = verified(bucket, key, stored, is_long ? RowFormat::kLongKey : RowFormat::kPlain);
  if (!value) return std::nullopt;
  if (!is_long) return DecodedSmallRow{static_cast<Bucket>(bucket), key, *value};
  if (value->size() < 4) return std::nullopt;
  const std::size_t key_size = get_be32(value->data());
  if (key_size <= kLongestPlainKey || key_size > value->size() - 4) return std::nullopt;
  const base::BytesView long_key = value->substr(4, key_size);
  if (digest_key(static_cast<Bucket>(bucket), long_key) != tree_key) return std::nullopt;
  return DecodedSmallRow{static_cast<Bucket>(bucket), long_key, value->substr(4 + key_size)};
}

bool row_is_whole(std::string_view tree, base::BytesView key, base::BytesView stored) {
  if (tree == "key") {
    const auto format = format_of(stored);
    return format && format != RowFormat::kLongKey && verified(static_cast<std::uint8_t>(Bucket::kKey), key, stored, *format);
  }
  if (tree == "small") return decode_small_row(key, stored).has_value();
  return decode_own_row(key, stored).has_value();
}

base::Bytes encode_own_row(base::BytesView name, std::uint64_t number) {
  base::Bytes stored(8 + kTrailerSize, '\0');
  base::put_be64(stored.data(), number);
  put_trailer(stored.data() + 8, kOwnTree, name, base::BytesView(stored).substr(0, 8), RowFormat::kPlain);
  return stored;
}

std::optional<std::uint64_t> decode_own_row(base::BytesView name, base::BytesView stored) {
  const auto value = verified(kOwnTree, name, stored, RowFormat::kPlain);
  if (!value || value->size() != 8) return std::nullopt;
  return base::get_be64(value->data());
}

}  // namespace etcdpp::backend
