#include <algorithm>

#include <etcdpp/mvcc/key_value.h>

#include "../errc.h"
#include "../range_executor.h"
#include "requests.h"

namespace etcdpp::server {

namespace {

using etcdserverpb::Compare;
using etcdserverpb::RequestOp;
using etcdserverpb::ResponseOp;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

/// Which branch each transaction on the chosen path takes, in the order in which they are met. All comparisons look at the
/// state before the transaction, those of nested ones too.
using Path = std::vector<bool>;

template <typename T>
int three_way(const T& a, const T& b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

bool outcome(Compare::CompareResult wanted, int order) {
  switch (wanted) {
    case Compare::EQUAL: return order == 0;
    case Compare::NOT_EQUAL: return order != 0;
    case Compare::GREATER: return order > 0;
    case Compare::LESS: return order < 0;
    default: return true;  // as etcd: an unknown result holds
  }
}

bool holds_for(const Compare& c, const mvcc::KeyValue& kv) {
  int order = 0;
  switch (c.target()) {
    case Compare::VALUE: order = three_way<std::string_view>(kv.value, c.value()); break;
    case Compare::CREATE: order = three_way(kv.create_revision, c.create_revision()); break;
    case Compare::MOD: order = three_way(kv.mod_revision, c.mod_revision()); break;
    case Compare::VERSION: order = three_way(kv.version, c.version()); break;
    case Compare::LEASE: order = three_way(kv.lease, c.lease()); break;
    default: break;  // an unknown target compares as equal
  }
  return outcome(c.result(), order);
}

base::Result<bool> holds(const mvcc::RangeReader& reader, const Compare& c) {
  mvcc::RangeOptions options;
  options.keys_only = c.target() != Compare::VALUE && c.target() != Compare::LEASE;
  options.counted = false;
  std::vector<mvcc::RangeRow> rows;
  const auto answer = reader.range(mvcc::KeyRange::of(c.key(), c.range_end()), options, rows);
  if (!answer) {
    if (is_fatal(answer.error())) return answer.error();
    return false;
  }
  // A missing key counts as one of zeros, but it has no value that could be compared.
  if (rows.empty()) return c.target() != Compare::VALUE && holds_for(c, {});
  for (const mvcc::RangeRow& row : rows) {
    mvcc::KeyValue kv;
    if (options.keys_only) {
      kv.create_revision = row.state.create_revision;
      kv.mod_revision = row.state.modified.main;
      kv.version = row.state.version;
    } else {
      ETCDPP_ASSIGN(kv, mvcc::decode_key_value(row.key_value));
    }
    if (!holds_for(c, kv)) return false;
  }
  return true;
}

const auto& branch(const TxnRequest& txn, bool succeeded) { return succeeded ? txn.success() : txn.failure(); }

base::Result<> choose_path(const mvcc::RangeReader& reader, const TxnRequest& txn, Path& path) {
  bool succeeded = true;
  for (const Compare& c : txn.compare()) {
    ETCDPP_ASSIGN(succeeded, holds(reader, c));
    if (!succeeded) break;
  }
  path.push_back(succeeded);
  for (const RequestOp& op : branch(txn, succeeded))
    if (op.has_request_txn()) ETCDPP_TRY(choose_path(reader, op.request_txn(), path));
  return {};
}

base::Result<> check_range_revision(std::int64_t revision, std::int64_t current, std::int64_t compacted) {
  if (revision == 0) return {};
  if (revision > current) return base::Error(mvcc::Errc::kFutureRevision);
  if (revision < compacted) return base::Error(mvcc::Errc::kCompacted);
  return {};
}

base::Result<> check_path(ApplyState& state, const TxnRequest& txn, Path::const_iterator& choice) {
  for (const RequestOp& op : branch(txn, *choice++)) {
    if (op.has_request_range()) {
      ETCDPP_TRY(check_range_revision(op.request_range().revision(), state.store.revision(), state.store.compact_revision()));
    } else if (op.has_request_put()) {
      ETCDPP_TRY(check_put(state, op.request_put()));
    } else if (op.has_request_txn()) {
      ETCDPP_TRY(check_path(state, op.request_txn(), choice));
    }
  }
  return {};
}

base::Result<> run_path(ApplyState& state, mvcc::WriteTxn& write, const TxnRequest& txn, Path::const_iterator& choice,
                        bool answered, TxnResponse& response) {
  const bool succeeded = *choice++;
  response.set_succeeded(succeeded);
  for (const RequestOp& op : branch(txn, succeeded)) {
    ResponseOp& answer = *response.add_responses();
    switch (op.request_case()) {
      case RequestOp::kRequestRange: {
        auto& range = *answer.mutable_response_range();
        if (!answered) break;
        ++state.done.ranges;
        ETCDPP_ASSIGN(const mvcc::RangeReader reader, write.reader());
        ETCDPP_ASSIGN(const RangeSelection selection, select_range(reader, op.request_range()));
        ETCDPP_TRY(fill_response(selection, range));
        range.mutable_header()->set_revision(write.revision());
        break;
      }
      case RequestOp::kRequestPut:
        ETCDPP_TRY(put_in_txn(state, write, op.request_put(), *answer.mutable_response_put()));
        break;
      case RequestOp::kRequestDeleteRange:
        ETCDPP_TRY(delete_in_txn(state, write, op.request_delete_range(), *answer.mutable_response_delete_range()));
        break;
      case RequestOp::kRequestTxn: {
        auto& nested = *answer.mutable_response_txn();
        nested.mutable_header();
        ETCDPP_TRY(run_path(state, write, op.request_txn(), choice, answered, nested));
        break;
      }
      case RequestOp::REQUEST_NOT_SET: break;
    }
  }
  return {};
}

}  // namespace

base::Result<ResponseMessage> apply_txn(ApplyState& state, const TxnRequest& request, bool answered) {
  Path path;
  {
    ETCDPP_ASSIGN(const mvcc::RangeReader reader, state.store.applied_reader());
    ETCDPP_TRY(choose_path(reader, request, path));
  }
  Path::const_iterator choice = path.begin();
  ETCDPP_TRY(check_path(state, request, choice));

  auto response = std::make_unique<TxnResponse>();
  mvcc::WriteTxn write(state.store);
  choice = path.begin();
  const auto done = run_path(state, write, request, choice, answered, *response);
  const std::int64_t revision = write.end();
  if (!done) return done.error();
  response->mutable_header()->set_revision(revision);
  return ResponseMessage(std::move(response));
}

base::Result<> run_read_only_txn(const mvcc::RangeReader& reader, const TxnRequest& request, TxnResponse& response) {
  Path path;
  ETCDPP_TRY(choose_path(reader, request, path));
  const mvcc::View& view = reader.view();
  response.set_succeeded(path.front());
  const auto& operations = branch(request, path.front());
  for (const RequestOp& op : operations)
    ETCDPP_TRY(check_range_revision(op.request_range().revision(), view.revision, view.compact_revision));
  for (const RequestOp& op : operations) {
    ETCDPP_ASSIGN(const RangeSelection selection, select_range(reader, op.request_range()));
    ETCDPP_TRY(fill_response(selection, *response.add_responses()->mutable_response_range()));
  }
  response.mutable_header()->set_revision(view.revision);
  return {};
}

}  // namespace etcdpp::server
