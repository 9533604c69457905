#include <etcdpp/backend/buffer_set.h>

namespace etcdpp::backend {

std::optional<base::BytesView> BufferSet::find(base::BytesView row_key) const {
  // What is read most is newest.
  if (active)
    if (const auto value = active->find(row_key, active_rows)) return value;
  for (std::size_t i = frozen.size(); i-- > 0;)
    if (frozen[i])
      if (const auto value = frozen[i]->find(row_key, frozen[i]->rows())) return value;
  return std::nullopt;
}

RowScan::RowScan(const BufferSet& set, const ReadTransaction& transaction) : cursor_(transaction) {
  for (const auto& buffer : set.frozen)
    if (buffer && buffer->rows() > 0) parts_[part_count_++] = {buffer.get(), buffer->rows()};
  if (set.active && set.active_rows > 0) parts_[part_count_++] = {set.active.get(), set.active_rows};
  if (part_count_ > 0) first_buffered_ = parts_[0].buffer->row(0).key;
}

base::Result<bool> RowScan::seek(base::BytesView first) {
  in_database_ = first_buffered_.empty() || first < first_buffered_;
  part_ = 0;
  at_ = 0;
  if (in_database_) {
    ETCDPP_ASSIGN(const bool there, cursor_.seek(first));
    if (there && (first_buffered_.empty() || cursor_.key() < first_buffered_)) {
      row_ = {cursor_.key(), cursor_.value()};
      return true;
    }
    in_database_ = false;
    return settle_in_buffers();
  }
  while (part_ < part_count_ && (at_ = parts_[part_].buffer->lower_bound(first, parts_[part_].rows)) == parts_[part_].rows) {
    ++part_;
    at_ = 0;
  }
  return settle_in_buffers();
}

base::Result<bool> RowScan::next() {
  if (in_database_) {
    ETCDPP_ASSIGN(const bool there, cursor_.next());
    if (there && (first_buffered_.empty() || cursor_.key() < first_buffered_)) {
      row_ = {cursor_.key(), cursor_.value()};
      return true;
    }
    in_database_ = false;
    return settle_in_buffers();
  }
  if (part_ < part_count_) ++at_;
  return settle_in_buffers();
}

bool RowScan::settle_in_buffers() {
  while (part_ < part_count_ && at_ >= parts_[part_].rows) {
    ++part_;
    at_ = 0;
  }
  if (part_ == part_count_) return false;
  row_ = parts_[part_].buffer->row(at_);
  return true;
}

}  // namespace etcdpp::backend
