#include <etcdpp/backend/write_buffer.h>

#include <bit>
#include <cstring>
#include <limits>

#include <etcdpp/base/assert.h>

#include "row_parts.h"

namespace etcdpp::backend {

namespace {

constexpr std::size_t kFirstChunk = 16u << 10;
constexpr std::size_t kChunk = 256u << 10;

}  // namespace

WriteBuffer::WriteBuffer() = default;
WriteBuffer::~WriteBuffer() = default;

char* WriteBuffer::allocate(std::size_t size) {
  if (size > chunk_left_) {
    if (size > kChunk / 4) {
      chunks_.push_back(std::make_unique_for_overwrite<char[]>(size));
      return chunks_.back().get();
    }
    chunk_left_ = chunks_.empty() && size <= kFirstChunk ? kFirstChunk : kChunk;
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk_left_));
    chunk_at_ = chunks_.back().get();
  }
  char* out = chunk_at_;
  chunk_at_ += size;
  chunk_left_ -= size;
  return out;
}

const WriteBuffer::RowPlace& WriteBuffer::place(std::size_t at) const {
  // Segment s holds positions [(2^s − 1)·256, (2^(s+1) − 1)·256).
  const std::size_t shifted = (at >> kFirstSegmentBits) + 1;
  const std::size_t segment = static_cast<std::size_t>(std::bit_width(shifted)) - 1;
  const std::size_t first = ((std::size_t{1} << segment) - 1) << kFirstSegmentBits;
  return segments_[segment][at - first];
}

char* WriteBuffer::begin_row(base::BytesView key, std::size_t value_size) {
  ETCDPP_ASSERT(!key.empty() && key.size() <= 255, "a row key has 1 to 255 bytes");
  ETCDPP_ASSERT(value_size < std::numeric_limits<std::uint32_t>::max() - kTrailerSize, "a row's value is below 4 GiB");
  ETCDPP_ASSERT(rows_ == 0 || row(rows_ - 1).key < key, "rows of bucket key are appended in ascending order");
  char* data = allocate(key.size() + value_size + kTrailerSize);
  std::memcpy(data, key.data(), key.size());
  open_row_ = {data, static_cast<std::uint32_t>(key.size()), static_cast<std::uint32_t>(value_size)};
  return data + key.size();
}

void WriteBuffer::end_row() {
  const auto& [data, key_size, value_size] = open_row_;
  // Else each part gets a checksum of its own when it is written.
  if (in_one_piece(value_size)) put_trailer(const_cast<char*>(data) + key_size + value_size, static_cast<std::uint8_t>(Bucket::kKey), {data, key_size},
              {data + key_size, value_size}, RowFormat::kPlain);
  const std::size_t shifted = (rows_ >> kFirstSegmentBits) + 1;
  const std::size_t segment = static_cast<std::size_t>(std::bit_width(shifted)) - 1;
  const std::size_t first = ((std::size_t{1} << segment) - 1) << kFirstSegmentBits;
  if (rows_ == first) segments_[segment] = std::make_unique_for_overwrite<RowPlace[]>(std::size_t{1} << (segment + kFirstSegmentBits));
  segments_[segment][rows_ - first] = open_row_;
  ++rows_;
  bytes_ += key_size + value_size + kTrailerSize;
  live_bytes_ += live_size(key_size, value_size);
}

void WriteBuffer::append_row(base::BytesView key, base::BytesView value) {
  char* out = begin_row(key, value.size());
  if (!value.empty()) std::memcpy(out, value.data(), value.size());
  end_row();
}

void WriteBuffer::put(Bucket bucket, base::BytesView key, base::BytesView value) {
  ETCDPP_ASSERT(bucket != Bucket::kKey, "rows of bucket key are appended");
  small_[{bucket, base::Bytes(key)}] = base::Bytes(value);
  ++small_operations_;
  bytes_ += key.size() + value.size();
  live_bytes_ += live_size(key.size(), value.size());
}

void WriteBuffer::erase(Bucket bucket, base::BytesView key) {
  ETCDPP_ASSERT(bucket != Bucket::kKey, "rows of bucket key are deleted by compaction only");
  small_[{bucket, base::Bytes(key)}] = std::nullopt;
  ++small_operations_;
  bytes_ += key.size();
}

void WriteBuffer::set_applied(std::uint64_t index, std::uint64_t term) {
  ETCDPP_ASSERT(index > 0 && index >= applied_index_, "the consistent index never goes back and is never 0");
  applied_index_ = index;
  if (term > 0) applied_term_ = term;
}

void WriteBuffer::set_conf_state(base::BytesView json) { conf_state_ = base::Bytes(json); }

Row WriteBuffer::row(std::size_t at) const {
  const RowPlace& p = place(at);
  return {{p.data, p.key_size}, {p.data + p.key_size, p.value_size}};
}

std::size_t WriteBuffer::lower_bound(base::BytesView key, std::size_t rows) const {
  std::size_t low = 0;
  std::size_t high = rows;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (row(middle).key < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

std::optional<base::BytesView> WriteBuffer::find(base::BytesView key, std::size_t rows) const {
  if (rows == 0 || key < row(0).key || row(rows - 1).key < key) return std::nullopt;
  const std::size_t at = lower_bound(key, rows);
  if (const Row found = row(at); found.key == key) return found.value;
  return std::nullopt;
}

}  // namespace etcdpp::backend
