#include <doctest/doctest.h>

#include "conf_state_json.h"
#include "errc.h"
#include "membership.h"

using namespace etcdpp;
using server::Errc;
using server::MemberRecord;

namespace {

/// Writes down what would go into the buckets.
class RowsSeen final : public server::MembershipRows {
 public:
  void put_member(const MemberRecord& member) override { log += "put " + server::member_json(member) + "\n"; }
  void remove_member(std::uint64_t id) override { log += "remove " + std::to_string(id) + "\n"; }
  void put_cluster_version(std::string_view version) override { log += "version " + std::string(version) + "\n"; }
  std::string log;
};

MemberRecord member(std::uint64_t id, std::string url, bool learner = false) {
  MemberRecord m;
  m.id = id;
  m.peer_urls = {std::move(url)};
  m.is_learner = learner;
  return m;
}

}  // namespace

TEST_CASE("membership: JSON byte for byte as etcd writes it") {
  MemberRecord m;
  m.id = 16744585430685899742u;
  m.peer_urls = {"http://127.0.0.1:2380"};
  CHECK(server::member_json(m) == R"({"id":16744585430685899742,"peerURLs":["http://127.0.0.1:2380"]})");
  m.is_learner = true;
  m.name = "a<b>&\"\n";
  m.client_urls = {"http://x", "http://y"};
  CHECK(server::member_json(m) ==
        R"({"id":16744585430685899742,"peerURLs":["http://127.0.0.1:2380"],"isLearner":true,"name":"a\u003cb\u003e\u0026\"\n","clientURLs":["http://x","http://y"]})");
  const auto back = server::parse_member_json(server::member_json(m));
  REQUIRE(back);
  CHECK(back->member == m);
}

TEST_CASE("membership: unknown fields are tolerated, what is no member is refused") {
  const auto promote = server::parse_member_json(R"({"id":7,"peerURLs":null,"isPromote":true,"later":{"x":1}})");
  REQUIRE(promote);
  CHECK(promote->is_promote);
  CHECK(promote->member.id == 7);
  for (const char* bad : {"", "[]", "{}", R"({"id":"7"})", R"({"id":7)", "\xff\xfe"}) CHECK(!server::parse_member_json(bad));
}

TEST_CASE("membership: refusals in etcd's order") {
  server::Membership membership;
  RowsSeen rows;
  membership.add(member(1, "http://a"), rows);
  membership.add(member(2, "http://b", true), rows);
  membership.add(member(3, "http://c"), rows);
  membership.remove(3, rows);
  const auto refused = [](const base::Result<>& result) { return result ? 0 : result.error().code.value(); };
  const auto code = [](Errc e) { return static_cast<int>(e); };
  CHECK(refused(membership.validate_add(member(3, "http://z"), 9)) == code(Errc::kMembershipIdRemoved));
  CHECK(refused(membership.validate_add(member(1, "http://z"), 9)) == code(Errc::kMembershipIdExists));
  CHECK(refused(membership.validate_add(member(4, "http://a"), 9)) == code(Errc::kMembershipPeerUrlExists));
  CHECK(refused(membership.validate_add(member(4, "http://d", true), 1)) == code(Errc::kMembershipTooManyLearners));
  CHECK(refused(membership.validate_add(member(4, "http://d", true), 2)) == 0);
  CHECK(refused(membership.validate_promote(1)) == code(Errc::kMembershipNotLearner));
  CHECK(refused(membership.validate_promote(9)) == code(Errc::kMembershipIdNotFound));
  CHECK(refused(membership.validate_promote(2)) == 0);
  CHECK(refused(membership.validate_update(member(1, "http://b"))) == code(Errc::kMembershipPeerUrlExists));
  CHECK(refused(membership.validate_update(member(1, "http://a"))) == 0);
  CHECK(refused(membership.validate_remove(3)) == code(Errc::kMembershipIdRemoved));
  CHECK(refused(membership.validate_remove(8)) == code(Errc::kMembershipIdNotFound));
  CHECK(!membership.set_attributes(8, "n", {}, rows));
  rows.log.clear();
  membership.promote(2, rows);
  membership.set_cluster_version("3.7.0", rows);
  CHECK(rows.log == "put {\"id\":2,\"peerURLs\":[\"http://b\"]}\nversion 3.7.0\n");
}

TEST_CASE("conf state: JSON as etcd stores it") {
  CHECK(server::conf_state_json({}) == R"({"auto_leave":false})");
  CHECK(server::conf_state_json({{1, 2}, {3}, {4}, {5}, true}) ==
        R"({"voters":[1,2],"learners":[3],"voters_outgoing":[4],"learners_next":[5],"auto_leave":true})");
}
