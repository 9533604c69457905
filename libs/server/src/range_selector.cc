#include "range_selector.h"

#include <algorithm>

#include <etcdpp/mvcc/key_value.h>

#include "range_executor.h"

namespace etcdpp::server {

namespace {

using etcdserverpb::RangeRequest;
using mvcc::KeyState;

bool filters(const RangeRequest& r) {
  return r.min_mod_revision() != 0 || r.max_mod_revision() != 0 || r.min_create_revision() != 0 || r.max_create_revision() != 0;
}

bool orders(const RangeRequest& r) {
  return r.sort_order() != RangeRequest::NONE && !(r.sort_order() == RangeRequest::ASCEND && r.sort_target() == RangeRequest::KEY);
}

/// Ordered although no order was given.
bool orders_late(const RangeRequest& r) { return r.sort_order() == RangeRequest::NONE && r.sort_target() != RangeRequest::KEY; }

bool by_value(const RangeRequest& r) { return r.sort_target() == RangeRequest::VALUE; }

std::uint64_t first_bytes(base::BytesView value) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < 8; ++i) out = out << 8 | (i < value.size() ? static_cast<unsigned char>(value[i]) : 0);
  return out;
}

/// keys_only: without its value, and without its lease unless the value had to be read anyway.
void strip(mvcc::KeyValue& kv, bool keep_lease) {
  kv.value = {};
  if (!keep_lease) kv.lease = 0;
}

}  // namespace

bool RangeSelector::needed(const RangeRequest& request) {
  return !request.count_only() && (filters(request) || orders(request) || orders_late(request));
}

RangeSelector::RangeSelector(const RangeRequest& request, std::int64_t revision)
    : request_(request),
      revision_(revision),
      limit_(std::max<std::int64_t>(request.limit(), 0)),
      sorted_(orders(request) || orders_late(request)),
      next_key_(request.key()) {
  if (limit_ > 0 && !orders(request) && (!sorted_ || !filters(request))) stop_at_ = limit_ + 1;
}

bool RangeSelector::matches(const KeyState& state) const {
  const std::int64_t mod = state.modified.main;
  const std::int64_t created = state.create_revision;
  return (request_.max_mod_revision() == 0 || mod <= request_.max_mod_revision()) &&
         (request_.min_mod_revision() == 0 || mod >= request_.min_mod_revision()) &&
         (request_.max_create_revision() == 0 || created <= request_.max_create_revision()) &&
         (request_.min_create_revision() == 0 || created >= request_.min_create_revision());
}

base::Result<bool> RangeSelector::walk(const mvcc::RangeReader& reader, std::size_t budget) {
  if (walked_) return true;
  const auto range = mvcc::KeyRange::of(request_.key(), request_.range_end()).starting_at(next_key_);
  mvcc::IndexCursor cursor(reader.view().index, range, revision_);
  KeyState state;
  bool more = true;
  base::BytesView last;
  while (cursor.visited() < budget && (more = cursor.next(state))) {
    last = state.key;
    if (matches(state)) {
      ++matched_;
      ETCDPP_TRY(keep(reader, state));
      if (matched_ == stop_at_) more = false;
    }
    if (!more) break;
  }
  if (more && !last.empty()) {
    next_key_.assign(last);
    next_key_.push_back('\0');
    return false;
  }
  // Nothing at all within the budget: keys that did not live at that revision; go on with a larger one next time.
  if (more) return walk(reader, budget * 2);
  walked_ = true;
  return true;
}

base::Result<> RangeSelector::keep(const mvcc::RangeReader& reader, const KeyState& state) {
  Kept kept{0, state.modified, static_cast<std::uint32_t>(matched_), 0};
  std::size_t row_bytes = state.row_bytes;
  switch (request_.sort_target()) {
    case RangeRequest::VERSION: kept.order = static_cast<std::uint64_t>(state.version); break;
    case RangeRequest::CREATE: kept.order = static_cast<std::uint64_t>(state.create_revision); break;
    case RangeRequest::MOD: kept.order = static_cast<std::uint64_t>(state.modified.main); break;
    default: break;
  }
  if (by_value(request_)) {
    ETCDPP_ASSIGN(const base::BytesView row, reader.row(state.modified));
    ETCDPP_ASSIGN(mvcc::KeyValue kv, mvcc::decode_key_value(row));
    kept.order = first_bytes(kv.value);
    strip(kv, true);
    if (request_.keys_only()) row_bytes = mvcc::encoded_size(kv);
    reader.transaction().forget_joined();
  } else if (request_.keys_only()) {
    row_bytes = mvcc::encoded_size({.key = state.key,
                                    .create_revision = state.create_revision,
                                    .mod_revision = state.modified.main,
                                    .version = state.version,
                                    .value = {}});
  }
  kept.framed_bytes = static_cast<std::uint32_t>(mvcc::framed_size(row_bytes));
  const auto later = [&](const Kept& a, const Kept& b) { return before(reader, a, b); };
  if (limit_ > 0 && kept_.size() == static_cast<std::size_t>(limit_)) {
    if (!sorted_ || !before(reader, kept, kept_.front())) return compared();
    std::ranges::pop_heap(kept_, later);
    total_bytes_ -= kept_.back().framed_bytes;
    kept_.pop_back();
  }
  total_bytes_ += kept.framed_bytes;
  kept_.push_back(kept);
  if (sorted_) std::ranges::push_heap(kept_, later);
  return compared();
}

base::BytesView RangeSelector::value_of(const mvcc::RangeReader& reader, const Kept& kept) {
  const auto row = reader.row(kept.modified);
  const auto kv = row ? mvcc::decode_key_value(*row) : base::Result<mvcc::KeyValue>(row.error());
  if (kv) return kv->value;
  failed_ = kv.error();
  return {};
}

bool RangeSelector::before(const mvcc::RangeReader& reader, const Kept& a, const Kept& b) {
  const bool descends = request_.sort_order() == RangeRequest::DESCEND;
  if (a.order != b.order) return descends ? a.order > b.order : a.order < b.order;
  if (by_value(request_)) {
    const int order = value_of(reader, a).compare(value_of(reader, b));
    reader.transaction().forget_joined();
    if (order != 0) return descends ? order > 0 : order < 0;
  }
  return descends && request_.sort_target() == RangeRequest::KEY ? a.ordinal > b.ordinal : a.ordinal < b.ordinal;
}

base::Result<> RangeSelector::compared() {
  if (failed_) return *failed_;
  return {};
}

base::Result<bool> RangeSelector::arrange(const mvcc::RangeReader& reader, std::size_t budget) {
  const auto later = [&](const Kept& a, const Kept& b) { return before(reader, a, b); };
  for (; !kept_.empty() && budget > 0; --budget) {
    if (sorted_) std::ranges::pop_heap(kept_, later);
    rows_.push_back(kept_.back().modified);
    kept_.pop_back();
  }
  ETCDPP_TRY(compared());
  return kept_.empty();
}

base::Result<> RangeSelector::append_next(const mvcc::RangeReader& reader, std::string& out) {
  ETCDPP_ASSIGN(const base::BytesView row, reader.row(rows_.back()));
  rows_.pop_back();
  if (!request_.keys_only()) {
    append_encoded_row(row, out);
  } else {
    ETCDPP_ASSIGN(mvcc::KeyValue kv, mvcc::decode_key_value(row));
    strip(kv, by_value(request_));
    append_encoded_row(kv, out);
  }
  reader.transaction().forget_joined();
  return {};
}

}  // namespace etcdpp::server
