#include <doctest/doctest.h>

#include <etcdpp/base/random.h>

#include "request_codec.h"

using namespace etcdpp;
using server::RequestField;

namespace {

etcdserverpb::TxnRequest nested(int depth) {
  etcdserverpb::TxnRequest txn;
  etcdserverpb::TxnRequest* inner = &txn;
  for (int i = 1; i < depth; ++i) inner = inner->add_success()->mutable_request_txn();
  inner->add_success()->mutable_request_put()->set_key("k");
  return txn;
}

}  // namespace

TEST_CASE("request codec: the client's bytes and the header, as etcd's marshaller orders them") {
  etcdserverpb::PutRequest put;
  put.set_key("a");
  put.set_value("b");
  const auto bytes = server::encode_request(RequestField::kPut, put.SerializeAsString(), {0x1234, "root", 7});
  etcdserverpb::InternalRaftRequest expected;
  *expected.mutable_put() = put;
  expected.mutable_header()->set_id(0x1234);
  expected.mutable_header()->set_username("root");
  expected.mutable_header()->set_auth_revision(7);
  CHECK(bytes.view() == expected.SerializeAsString());

  membershippb::ClusterVersionSetRequest version;
  version.set_ver("3.7.0");
  const auto after = server::encode_request(RequestField::kClusterVersionSet, version.SerializeAsString(), {9});
  etcdserverpb::InternalRaftRequest other;
  other.mutable_header()->set_id(9);
  *other.mutable_cluster_version_set() = version;
  CHECK(after.view() == other.SerializeAsString());
}

TEST_CASE("request codec: nesting is counted before anything recurses") {
  for (const int depth : {1, 2, 50, 127, 300}) {
    const std::string bytes = nested(depth).SerializeAsString();
    CHECK(server::nesting_depth_of_txns(bytes, server::kMaxTxnDepth) == static_cast<std::size_t>(depth));
    etcdserverpb::TxnRequest back;
    CHECK(server::parse_deep(back, bytes));
  }
  // Built from the inside out, since making it as a message would recurse as well.
  std::string bomb;
  for (int i = 0; i < 20'000; ++i) {
    for (const char tag : {'\x22', '\x12'}) {  // RequestOp.request_txn, TxnRequest.success
      std::string outer(1, tag);
      for (std::size_t n = bomb.size();;) {
        outer += static_cast<char>(n < 0x80 ? n : (n | 0x80));
        if (n < 0x80) break;
        n >>= 7;
      }
      bomb = outer + bomb;
    }
    if (bomb.size() > 100'000) break;
  }
  CHECK(server::nesting_depth_of_txns(bomb, server::kMaxTxnDepth) == server::kMaxTxnDepth);
}

TEST_CASE("request codec: any bytes give a depth") {
  base::Random random(11);
  const std::string seed = nested(20).SerializeAsString();
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = seed;
    for (int k = 0; k < 3; ++k) bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    bytes.resize(random.below(bytes.size() + 1));
    CHECK(server::nesting_depth_of_txns(bytes, 512) <= 512);
  }
}
