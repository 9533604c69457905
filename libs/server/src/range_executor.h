#pragma once

#include <string>
#include <vector>

#include <etcdpp/base/result.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/range_reader.h>

#include <etcdserverpb/rpc.pb.h>

namespace etcdpp::server {

/// The keys of one answer, in the order and number in which the client gets them. Rows borrow from the reader.
struct RangeSelection {
  std::vector<mvcc::RangeRow> rows;
  /// Rows that RangeSelector chose, as elements of RangeResponse.kvs; either these or `rows`.
  std::string selected;
  std::int64_t current_revision = 0;
  std::int64_t count = 0;
  bool more = false;
};

/// What a RangeRequest asks, in one piece: for a range within a transaction, whose answer is one message anyway.
base::Result<RangeSelection> select_range(const mvcc::RangeReader& reader, const etcdserverpb::RangeRequest& request);

/// An answer with rows that needs neither sorting nor filtering: it can be streamed from the store in key order.
bool is_plain(const etcdserverpb::RangeRequest& request);
mvcc::RangeOptions range_options(const etcdserverpb::RangeRequest& request);

/// The selection as RangeResponse.kvs, more and count, behind whatever `out` holds (a header): wire bytes, rows spliced in
/// as they are stored.
void append_selection(const RangeSelection& selection, std::string& out);
/// One element of RangeResponse.kvs; without a value where the row was read from the index alone.
void append_row(const mvcc::RangeRow& row, std::string& out);
void append_encoded_row(base::BytesView row, std::string& out);
void append_encoded_row(const mvcc::KeyValue& kv, std::string& out);
/// RangeResponse.more and .count, where not zero.
void append_range_end(bool more, std::int64_t count, std::string& out);
/// The same as a message; header.revision is set.
base::Result<> fill_response(const RangeSelection& selection, etcdserverpb::RangeResponse& response);

}  // namespace etcdpp::server
