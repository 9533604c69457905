#include <doctest/doctest.h>

#include "../errc.h"
#include "validation.h"

using namespace etcdpp;
using server::Errc;

namespace {

using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;

void put(RequestOp& op, const char* key) { op.mutable_request_put()->set_key(key); }
void del(RequestOp& op, const char* key, std::string_view end = {}) {
  op.mutable_request_delete_range()->set_key(key);
  op.mutable_request_delete_range()->set_range_end(std::string(end));
}
bool refused_as(const base::Result<>& result, Errc code) { return !result && result.error().code == code; }

}  // namespace

TEST_CASE("validation: the first failing check is what the client sees") {
  etcdserverpb::PutRequest request;
  request.set_ignore_value(true);
  request.set_value("x");
  CHECK(refused_as(server::check_put_request(request), Errc::kEmptyKey));
  request.set_key("k");
  CHECK(refused_as(server::check_put_request(request), Errc::kValueProvided));
  request.clear_value();
  request.set_ignore_lease(true);
  request.set_lease(3);
  CHECK(refused_as(server::check_put_request(request), Errc::kLeaseProvided));

  etcdserverpb::RangeRequest range;
  range.set_key("k");
  range.set_sort_target(static_cast<etcdserverpb::RangeRequest::SortTarget>(77));
  CHECK(refused_as(server::check_range_request(range), Errc::kInvalidSortOption));
  range.set_sort_target(etcdserverpb::RangeRequest::VALUE);
  range.set_sort_order(etcdserverpb::RangeRequest::ASCEND);
  CHECK(server::check_range_request(range));
  CHECK(refused_as(server::check_range_stream_request(range), Errc::kRangeStreamSortOrder));
}

TEST_CASE("validation: operations are counted against what the levels above left") {
  TxnRequest txn;
  for (int i = 0; i < 128; ++i) put(*txn.add_success(), ("k" + std::to_string(i)).c_str());
  CHECK(server::check_txn_request(txn, 128));
  CHECK(refused_as(server::check_txn_request(txn, 127), Errc::kTooManyOperations));
  TxnRequest outer;
  *outer.add_failure()->mutable_request_txn() = txn;
  CHECK(refused_as(server::check_txn_request(outer, 128), Errc::kTooManyOperations));
  CHECK(server::check_txn_request(outer, 129));
  TxnRequest empty_op;
  empty_op.add_success();
  CHECK(refused_as(server::check_txn_request(empty_op, 128), Errc::kKeyNotFound));
}

TEST_CASE("validation: no key is written twice on one path") {
  {
    TxnRequest txn;
    put(*txn.add_success(), "k");
    put(*txn.add_success(), "k");
    CHECK(refused_as(server::check_txn_request(txn, 128), Errc::kDuplicateKey));
  }
  {
    TxnRequest txn;
    del(*txn.add_success(), "a", "z");
    put(*txn.add_success(), "k");
    CHECK(refused_as(server::check_txn_request(txn, 128), Errc::kDuplicateKey));
  }
  {
    TxnRequest txn;  // deletions may overlap, and the other branch is another path
    del(*txn.add_success(), "a", "z");
    del(*txn.add_success(), "b");
    put(*txn.add_failure(), "b");
    CHECK(server::check_txn_request(txn, 128));
  }
  {
    TxnRequest txn;  // then and else of one nested transaction exclude each other
    TxnRequest& inner = *txn.add_success()->mutable_request_txn();
    put(*inner.add_success(), "k");
    put(*inner.add_failure(), "k");
    CHECK(server::check_txn_request(txn, 128));
    put(*txn.add_success(), "k");
    CHECK(refused_as(server::check_txn_request(txn, 128), Errc::kDuplicateKey));
  }
  {
    TxnRequest txn;  // as etcd: everything from a key on clashes with nothing
    del(*txn.add_success(), "a", std::string_view("\0", 1));
    put(*txn.add_success(), "k");
    CHECK(server::check_txn_request(txn, 128));
  }
}

TEST_CASE("validation: which transactions need no entry") {
  TxnRequest txn;
  CHECK(server::is_read_only(txn));
  CHECK(server::is_serializable(txn));
  txn.add_success()->mutable_request_range()->set_key("a");
  CHECK(server::is_read_only(txn));
  CHECK(!server::is_serializable(txn));
  txn.mutable_success(0)->mutable_request_range()->set_serializable(true);
  CHECK(server::is_serializable(txn));
  txn.add_failure()->mutable_request_txn();
  CHECK(!server::is_read_only(txn));
}
