#include "range_executor.h"

#include <algorithm>

#include <etcdpp/mvcc/key_value.h>

namespace etcdpp::server {

namespace {

using etcdserverpb::RangeRequest;
using mvcc::RangeRow;

bool has_revision_filter(const RangeRequest& r) {
  return r.min_mod_revision() != 0 || r.max_mod_revision() != 0 || r.min_create_revision() != 0 ||
         r.max_create_revision() != 0;
}

bool is_sorted(const RangeRequest& r) {
  return r.sort_order() != RangeRequest::NONE &&
         !(r.sort_order() == RangeRequest::ASCEND && r.sort_target() == RangeRequest::KEY);
}

void filter(const RangeRequest& r, std::vector<RangeRow>& rows) {
  std::erase_if(rows, [&](const RangeRow& row) {
    const std::int64_t mod = row.state.modified.main;
    const std::int64_t created = row.state.create_revision;
    return (r.max_mod_revision() != 0 && mod > r.max_mod_revision()) ||
           (r.min_mod_revision() != 0 && mod < r.min_mod_revision()) ||
           (r.max_create_revision() != 0 && created > r.max_create_revision()) ||
           (r.min_create_revision() != 0 && created < r.min_create_revision());
  });
}

template <typename Key>
void sort_by(std::vector<RangeRow>& rows, bool descend, Key key) {
  if (descend)
    std::ranges::stable_sort(rows, [&](const RangeRow& a, const RangeRow& b) { return key(b) < key(a); });
  else
    std::ranges::stable_sort(rows, [&](const RangeRow& a, const RangeRow& b) { return key(a) < key(b); });
}

base::Result<> sort_by_value(std::vector<RangeRow>& rows, bool descend) {
  std::vector<std::pair<base::BytesView, RangeRow>> decorated;
  decorated.reserve(rows.size());
  for (const RangeRow& row : rows) {
    ETCDPP_ASSIGN(const mvcc::KeyValue kv, mvcc::decode_key_value(row.key_value));
    decorated.emplace_back(kv.value, row);
  }
  std::ranges::stable_sort(decorated, [&](const auto& a, const auto& b) { return descend ? b.first < a.first : a.first < b.first; });
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = decorated[i].second;
  return {};
}

base::Result<> sort(const RangeRequest& r, std::vector<RangeRow>& rows) {
  const bool descend = r.sort_order() == RangeRequest::DESCEND;
  switch (r.sort_target()) {
    case RangeRequest::KEY:
      if (descend) std::ranges::reverse(rows);
      return {};
    case RangeRequest::VERSION: sort_by(rows, descend, [](const RangeRow& x) { return x.state.version; }); return {};
    case RangeRequest::CREATE: sort_by(rows, descend, [](const RangeRow& x) { return x.state.create_revision; }); return {};
    case RangeRequest::MOD: sort_by(rows, descend, [](const RangeRow& x) { return x.state.modified.main; }); return {};
    case RangeRequest::VALUE: return sort_by_value(rows, descend);
    default: return {};
  }
}

void append_varint(std::uint64_t v, std::string& out) {
  while (v >= 0x80) {
    out += static_cast<char>(v | 0x80);
    v >>= 7;
  }
  out += static_cast<char>(v);
}

mvcc::KeyValue without_value(const RangeRow& row) {
  mvcc::KeyValue kv;
  kv.key = row.state.key;
  kv.create_revision = row.state.create_revision;
  kv.mod_revision = row.state.modified.main;
  kv.version = row.state.version;
  return kv;
}

}  // namespace

bool is_plain(const RangeRequest& request) {
  return !request.keys_only() && !request.count_only() && !has_revision_filter(request) && !is_sorted(request) &&
         request.sort_target() == RangeRequest::KEY;
}

mvcc::RangeOptions range_options(const RangeRequest& request) {
  mvcc::RangeOptions options;
  options.revision = request.revision();
  options.count_only = request.count_only();
  options.keys_only = request.keys_only() && request.sort_target() != RangeRequest::VALUE;
  options.limit = request.limit();
  return options;
}

base::Result<RangeSelection> select_range(const mvcc::RangeReader& reader, const RangeRequest& request) {
  const auto range = mvcc::KeyRange::of(request.key(), request.range_end());
  mvcc::RangeOptions options = range_options(request);
  const bool filtered = has_revision_filter(request);
  const bool sorted_late = request.sort_order() == RangeRequest::NONE && request.sort_target() != RangeRequest::KEY;
  const std::int64_t limit = std::max<std::int64_t>(request.limit(), 0);
  if (filtered || is_sorted(request)) {
    options.limit = 0;
  } else if (sorted_late && limit > 0) {
    // As in etcd: the cut comes first, one key more than asked for, and what is left is sorted.
    options.limit = limit + 1;
  }
  RangeSelection selection;
  ETCDPP_ASSIGN(const mvcc::RangeAnswer answer, reader.range(range, options, selection.rows));
  selection.current_revision = answer.current_revision;
  selection.count = answer.count;
  if (request.count_only()) return selection;
  selection.strip_values = request.keys_only() && !options.keys_only;
  if (filtered) filter(request, selection.rows);
  if (is_sorted(request) || sorted_late) ETCDPP_TRY(sort(request, selection.rows));
  if (options.limit == limit && limit > 0) {
    selection.more = answer.more;
  } else if (limit > 0 && selection.rows.size() > static_cast<std::size_t>(limit)) {
    selection.rows.resize(static_cast<std::size_t>(limit));
    selection.more = true;
  }
  return selection;
}

void append_row(const RangeRow& row, bool strip_value, std::string& out) {
  out += '\x12';  // RangeResponse.kvs
  if (row.key_value.data() != nullptr && !strip_value) {
    append_varint(row.key_value.size(), out);
    out.append(row.key_value);
    return;
  }
  mvcc::KeyValue kv = without_value(row);
  if (strip_value)
    if (const auto stored = mvcc::decode_key_value(row.key_value)) kv.lease = stored->lease;
  append_varint(mvcc::encoded_size(kv), out);
  mvcc::append_encoded(kv, out);
}

void append_range_end(bool more, std::int64_t count, std::string& out) {
  if (more) out.append("\x18\x01", 2);
  if (count != 0) {
    out += '\x20';
    append_varint(static_cast<std::uint64_t>(count), out);
  }
}

void append_selection(const RangeSelection& selection, std::string& out) {
  for (const RangeRow& row : selection.rows) append_row(row, selection.strip_values, out);
  append_range_end(selection.more, selection.count, out);
}

base::Result<> fill_response(const RangeSelection& selection, etcdserverpb::RangeResponse& response) {
  std::string bytes;
  append_selection(selection, bytes);
  if (!response.ParseFromString(bytes)) return base::Error(mvcc::Errc::kBadRow, "a stored row is no KeyValue message");
  response.mutable_header()->set_revision(selection.current_revision);
  return {};
}

}  // namespace etcdpp::server
