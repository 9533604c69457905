#include "range_executor.h"

#include <limits>

#include <etcdpp/proto/wire.h>

#include "range_selector.h"

namespace etcdpp::server {

namespace {

using etcdserverpb::RangeRequest;
using mvcc::RangeRow;

}  // namespace

bool is_plain(const RangeRequest& request) { return !request.count_only() && !RangeSelector::needed(request); }

mvcc::RangeOptions range_options(const RangeRequest& request) {
  mvcc::RangeOptions options;
  options.revision = request.revision();
  options.count_only = request.count_only();
  options.keys_only = request.keys_only();
  options.limit = request.limit();
  return options;
}

base::Result<RangeSelection> select_range(const mvcc::RangeReader& reader, const RangeRequest& request) {
  const auto range = mvcc::KeyRange::of(request.key(), request.range_end());
  RangeSelection selection;
  selection.current_revision = reader.view().revision;
  if (!RangeSelector::needed(request)) {
    ETCDPP_ASSIGN(const mvcc::RangeAnswer answer, reader.range(range, range_options(request), selection.rows));
    selection.count = answer.count;
    selection.more = answer.more;
    return selection;
  }
  ETCDPP_ASSIGN(const std::int64_t revision, reader.resolve(request.revision()));
  selection.count = reader.view().index.count(range, revision);
  RangeSelector selector(request, revision);
  constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
  ETCDPP_TRY(selector.walk(reader, kAll));
  ETCDPP_TRY(selector.arrange(reader, kAll));
  while (!selector.done()) ETCDPP_TRY(selector.append_next(reader, selection.selected));
  selection.more = selector.more();
  return selection;
}

void append_encoded_row(base::BytesView row, std::string& out) {
  out += '\x12';  // RangeResponse.kvs
  proto::append_varint(row.size(), out);
  out.append(row);
}

void append_encoded_row(const mvcc::KeyValue& kv, std::string& out) {
  out += '\x12';
  proto::append_varint(mvcc::encoded_size(kv), out);
  mvcc::append_encoded(kv, out);
}

void append_row(const RangeRow& row, std::string& out) {
  if (row.key_value.data() != nullptr) return append_encoded_row(row.key_value, out);
  append_encoded_row({.key = row.state.key,
                      .create_revision = row.state.create_revision,
                      .mod_revision = row.state.modified.main,
                      .version = row.state.version,
                      .value = {}},
                     out);
}

void append_range_end(bool more, std::int64_t count, std::string& out) {
  if (more) out.append("\x18\x01", 2);
  if (count != 0) {
    out += '\x20';
    proto::append_varint(static_cast<std::uint64_t>(count), out);
  }
}

void append_selection(const RangeSelection& selection, std::string& out) {
  for (const RangeRow& row : selection.rows) append_row(row, out);
  out += selection.selected;
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
