#include "deletion_slice.h"

#include <algorithm>

namespace etcdpp::backend {

namespace {
constexpr std::size_t kBytesPerRow = 4096;
}  // namespace

base::Result<bool> DeletionSlice::seek(base::BytesView first) {
  if (rows_left_ > 0) --rows_left_;
  return cursor_.seek(first);
}

base::Result<bool> DeletionSlice::next() {
  if (rows_left_ > 0) --rows_left_;
  return cursor_.next();
}

void DeletionSlice::erase() {
  const std::size_t size = cursor_.value().size();
  marked_.push_back({std::string(cursor_.key()), size});
  // Each of its pages takes as long as a small row.
  rows_left_ -= std::min(rows_left_, size / kBytesPerRow);
}

void DeletionSlice::put(Bucket bucket, base::BytesView key, base::BytesView value) {
  puts_.push_back({bucket, std::string(key), std::string(value)});
}

bool DeletionSlice::exhausted() const {
  // The clock is read for every sixteenth row only.
  return rows_left_ == 0 || (++asked_ % 16 == 0 && clock_.now() >= until_);
}

base::Result<> DeletionSlice::carry_out() {
  for (const Marked& row : marked_) ETCDPP_TRY(transaction_.erase_row(row.key, row.value_size));
  for (const Put& row : puts_) ETCDPP_TRY(transaction_.put(row.bucket, row.key, row.value));
  return {};
}

}  // namespace etcdpp::backend
