#include "row_parts.h"

#include <algorithm>
#include <utility>

#include <etcdpp/backend/errc.h>

namespace etcdpp::backend {

namespace {

constexpr std::uint8_t kKeyByte = static_cast<std::uint8_t>(Bucket::kKey);
// What one page of LMDB's takes of a value that has it for itself.
constexpr std::size_t kPageRoom = 4096 - 16;
// A page of its own for less than this would waste more than a sixth of it.
constexpr std::size_t kWorthAPage = 3400;
constexpr std::size_t kPartSuffix = 5;
// Four nodes with this much of a value fill a leaf.
constexpr std::size_t kQuarter = 980;
// A row's size is a claim of the file: it gets memory as its parts come.
constexpr std::size_t kMostReserved = 1u << 20;

// The part of a stored row before its trailer.
std::optional<base::BytesView> plain(base::BytesView key, base::BytesView stored, RowFormat format, bool verify) {
  if (verify) return verified(kKeyByte, key, stored, format);
  if (format_of(stored) != format) return std::nullopt;
  return stored.substr(0, stored.size() - kTrailerSize);
}

}  // namespace

bool in_one_piece(std::size_t size) {
  return size <= kQuarter || (size >= kWorthAPage && size <= kPageRoom - kTrailerSize);
}

std::size_t next_piece(std::size_t left, bool head) {
  const std::size_t room = kPageRoom - kTrailerSize - (head ? kRowSizeBytes : 0);
  if (left >= kWorthAPage) return std::min(left, room);
  const std::size_t pieces = (left + kQuarter - 1) / kQuarter;
  return (left + pieces - 1) / pieces;
}

base::Bytes part_key(base::BytesView row_key, std::uint32_t number) {
  base::Bytes out(row_key.size() + kPartSuffix, '\0');
  row_key.copy(out.data(), row_key.size());
  put_be32(out.data() + row_key.size() + 1, number);
  return out;
}

bool is_part(base::BytesView stored) { return format_of(stored) == RowFormat::kPart; }

base::BytesView row_of_part(base::BytesView part_key) { return part_key.substr(0, part_key.size() - std::min(part_key.size(), kPartSuffix)); }

RowJoin::Taken RowJoin::take(base::BytesView key, base::BytesView stored, bool verify) {
  return open_ ? go_on(key, stored, verify) : begin(key, stored, verify);
}

RowJoin::Taken RowJoin::begin(base::BytesView key, base::BytesView stored, bool verify) {
  key_ = key;
  if (const auto value = plain(key, stored, RowFormat::kPlain, verify)) {
    value_ = *value;
    return Taken::kRow;
  }
  const auto head = plain(key, stored, RowFormat::kHead, verify);
  if (!head || head->size() <= kRowSizeBytes || get_be32(head->data()) <= head->size() - kRowSizeBytes) {
    value_ = stored.substr(0, stored.size() - std::min(stored.size(), kTrailerSize));
    return Taken::kWrong;
  }
  open_ = true;
  next_part_ = 1;
  size_ = get_be32(head->data());
  row_key_.assign(key);
  joined_.clear();
  joined_.reserve(std::min(size_, kMostReserved));
  joined_.append(head->substr(kRowSizeBytes));
  return Taken::kMore;
}

RowJoin::Taken RowJoin::go_on(base::BytesView key, base::BytesView stored, bool verify) {
  const bool mine = key.size() == row_key_.size() + kPartSuffix && key.starts_with(row_key_) && key[row_key_.size()] == '\0' &&
                    get_be32(key.data() + row_key_.size() + 1) == next_part_;
  const auto piece = mine ? plain(key, stored, RowFormat::kPart, verify) : std::nullopt;
  const bool fits = piece && !piece->empty() && piece->size() <= size_ - joined_.size();
  if (fits) {
    joined_.append(*piece);
    ++next_part_;
    if (joined_.size() < size_) return Taken::kMore;
  }
  give_up();
  return fits ? Taken::kRow : Taken::kWrong;
}

void RowJoin::give_up() {
  open_ = false;
  key_ = row_key_;
  value_ = joined_;
}

base::Error lost_parts(const std::string& path, base::BytesView row_key) {
  return base::Error(Errc::kCorrupt, path + ": row " + base::hex(row_key) + " in tree key has lost its last parts");
}

}  // namespace etcdpp::backend
