// Golden output: what etcdctl 3.7.1 printed for the same answers.

#include <sstream>

#include <doctest/doctest.h>

#include "printer.h"

using namespace etcdpp::ctl;
namespace pb = etcdserverpb;

namespace {

void fill_header(pb::ResponseHeader& header, std::int64_t revision) {
  header.set_cluster_id(4795946831141051667);
  header.set_member_id(1658400652876682647);
  header.set_revision(revision);
  header.set_raft_term(2);
}

void fill_kv(mvccpb::KeyValue& kv, const char* key, const char* value) {
  kv.set_key(key);
  kv.set_value(value);
  kv.set_create_revision(2);
  kv.set_mod_revision(3);
  kv.set_version(2);
}

pb::RangeResponse range_response() {
  pb::RangeResponse response;
  fill_header(*response.mutable_header(), 3);
  fill_kv(*response.add_kvs(), "foo", "b\"r");
  response.set_count(1);
  return response;
}

pb::PutResponse put_response() {
  pb::PutResponse response;
  fill_header(*response.mutable_header(), 4);
  fill_kv(*response.mutable_prev_kv(), "foo", "bar");
  return response;
}

pb::TxnResponse txn_response() {
  pb::TxnResponse response;
  fill_header(*response.mutable_header(), 5);
  response.set_succeeded(true);
  response.add_responses()->mutable_response_put()->mutable_header()->set_revision(5);
  auto& range = *response.add_responses()->mutable_response_range();
  fill_kv(*range.add_kvs(), "q1", "v 1");
  range.set_count(1);
  response.add_responses()->mutable_response_delete_range()->mutable_header()->set_revision(5);
  return response;
}

pb::WatchResponse watch_response() {
  pb::WatchResponse response;
  fill_header(*response.mutable_header(), 31);
  response.set_watch_id(1);
  auto& put = *response.add_events();
  fill_kv(*put.mutable_kv(), "w1", "b");
  fill_kv(*put.mutable_prev_kv(), "w1", "a");
  auto& deleted = *response.add_events();
  deleted.set_type(mvccpb::Event::DELETE);
  deleted.mutable_kv()->set_key("w1");
  deleted.mutable_kv()->set_mod_revision(46);
  return response;
}

EndpointStatus endpoint_status() {
  EndpointStatus endpoint{"127.0.0.1:2379", {}};
  pb::StatusResponse& status = endpoint.status;
  fill_header(*status.mutable_header(), 7);
  status.set_version("3.7.1");
  status.set_storageversion("3.7.0");
  status.set_dbsize(24576);
  status.set_dbsizeinuse(16384);
  status.set_dbsizequota(2147483648);
  status.set_leader(1658400652876682647);
  status.set_raftindex(26);
  status.set_raftterm(2);
  status.set_raftappliedindex(26);
  status.mutable_downgradeinfo();
  return endpoint;
}

pb::MemberListResponse member_list() {
  pb::MemberListResponse response;
  fill_header(*response.mutable_header(), 0);
  auto& started = *response.add_members();
  started.set_id(1658400652876682647);
  started.set_name("y1");
  started.add_peerurls("http://127.0.0.1:2380");
  started.add_clienturls("http://127.0.0.1:2379");
  auto& unstarted = *response.add_members();
  unstarted.set_id(11);
  unstarted.add_peerurls("http://127.0.0.1:23990");
  unstarted.set_islearner(true);
  return response;
}

/// What one call prints in a format, or how it is refused.
template <class Call>
std::string printed(const char* format, Call call, bool hex = false) {
  std::ostringstream out;
  std::ostringstream err;
  auto printer = make_printer(format, {.out = out, .err = err, .hex = hex});
  REQUIRE(printer);
  if (auto done = call(*printer); !done) return std::to_string(done.error().exit_code) + " " + done.error().message;
  return out.str() + err.str();
}

std::string printed_range(const char* format, bool hex = false, RangeView view = RangeView::kPairs) {
  return printed(format, [&](Printer& p) { return p.range(range_response(), view); }, hex);
}

}  // namespace

TEST_CASE("printers: a range") {
  CHECK(printed_range("simple") == "foo\nb\"r\n");
  CHECK(printed_range("simple", true) == "\\x66\\x6f\\x6f\n\\x62\\x22\\x72\n");
  CHECK(printed_range("simple", false, RangeView::kValuesOnly) == "b\"r\n");
  CHECK(printed_range("json") ==
        "{\"header\":{\"cluster_id\":4795946831141051667,\"member_id\":1658400652876682647,\"revision\":3,\"raft_"
        "term\":2},"
        "\"kvs\":[{\"key\":\"Zm9v\",\"create_revision\":2,\"mod_revision\":3,\"version\":2,\"value\":\"YiJy\"}],"
        "\"count\":1}\n");
  CHECK(printed_range("fields") ==
        "\"ClusterID\" : 4795946831141051667\n\"MemberID\" : 1658400652876682647\n\"Revision\" : 3\n\"RaftTerm\" : 2\n"
        "\"Key\" : \"foo\"\n\"CreateRevision\" : 2\n\"ModRevision\" : 3\n\"Version\" : 2\n\"Value\" : \"b\\\"r\"\n"
        "\"Lease\" : 0\n\"More\" : false\n\"Count\" : 1\n");
  CHECK(
      printed_range("fields", true).starts_with("\"ClusterID\" : 428ea03b9fd29d13\n\"MemberID\" : 1703d29b71fd9597\n"));
  CHECK(printed_range("fields", true).find("\"Lease\" : 0000000000000000\n") != std::string::npos);
  CHECK(printed_range("table") == "4 table not supported as output format");
  CHECK(printed_range("protobuf") == range_response().SerializeAsString());
}

TEST_CASE("printers: a put with what was there before") {
  const auto put = [](Printer& p) { return p.put(put_response()); };
  CHECK(printed("simple", put) == "OK\nfoo\nbar\n");
  CHECK(printed("json", put) ==
        "{\"header\":{\"cluster_id\":4795946831141051667,\"member_id\":1658400652876682647,\"revision\":4,\"raft_"
        "term\":2},"
        "\"prev_kv\":{\"key\":\"Zm9v\",\"create_revision\":2,\"mod_revision\":3,\"version\":2,\"value\":\"YmFy\"}}\n");
  CHECK(printed("fields", put)
            .ends_with("\"PrevKey\" : \"foo\"\n\"PrevCreateRevision\" : 2\n\"PrevModRevision\" : 3\n"
                       "\"PrevVersion\" : 2\n\"PrevValue\" : \"bar\"\n\"PrevLease\" : 0\n"));
}

TEST_CASE("printers: a transaction") {
  const auto txn = [](Printer& p) { return p.txn(txn_response()); };
  CHECK(printed("simple", txn) == "SUCCESS\n\nOK\n\nq1\nv 1\n\n0\n");
  CHECK(printed("json", txn) ==
        "{\"header\":{\"cluster_id\":4795946831141051667,\"member_id\":1658400652876682647,\"revision\":5,\"raft_"
        "term\":2},"
        "\"succeeded\":true,\"responses\":[{\"Response\":{\"response_put\":{\"header\":{\"revision\":5}}}},"
        "{\"Response\":{\"response_range\":{\"kvs\":[{\"key\":\"cTE=\",\"create_revision\":2,\"mod_revision\":3,"
        "\"version\":2,"
        "\"value\":\"diAx\"}],\"count\":1}}},{\"Response\":{\"response_delete_range\":{\"header\":{\"revision\":5}}}}]}"
        "\n");
  CHECK(printed("fields", txn).find("\"Succeeded\" : true\n") != std::string::npos);
}

TEST_CASE("printers: watch events") {
  const auto watch = [](Printer& p) { return p.watch(watch_response()); };
  CHECK(printed("simple", watch) == "PUT\nw1\na\nw1\nb\nDELETE\nw1\n\n");
  CHECK(printed("json", watch) ==
        "{\"Header\":{\"cluster_id\":4795946831141051667,\"member_id\":1658400652876682647,\"revision\":31,\"raft_"
        "term\":2},"
        "\"Events\":[{\"kv\":{\"key\":\"dzE=\",\"create_revision\":2,\"mod_revision\":3,\"version\":2,\"value\":\"Yg=="
        "\"},"
        "\"prev_kv\":{\"key\":\"dzE=\",\"create_revision\":2,\"mod_revision\":3,\"version\":2,\"value\":\"YQ==\"}},"
        "{\"type\":1,\"kv\":{\"key\":\"dzE=\",\"mod_revision\":46}}],"
        "\"CompactRevision\":0,\"Canceled\":false,\"Created\":false,\"CancelReason\":\"\"}\n");
  CHECK(printed("fields", watch).find("\"Type\" : DELETE\n\"Key\" : \"w1\"\n\"CreateRevision\" : 0\n") !=
        std::string::npos);
  pb::WatchResponse unnumbered = watch_response();
  unnumbered.clear_watch_id();
  CHECK(printed("protobuf", watch) == unnumbered.SerializeAsString());
}

TEST_CASE("printers: leases") {
  pb::LeaseGrantResponse grant;
  fill_header(*grant.mutable_header(), 33);
  grant.set_id(0x77e6a204a7224d33);
  grant.set_ttl(100);
  const auto print_grant = [&](Printer& p) { return p.grant(grant); };
  CHECK(printed("simple", print_grant) == "lease 77e6a204a7224d33 granted with TTL(100s)\n");
  CHECK(printed("json", print_grant) ==
        "{\"cluster_id\":4795946831141051667,\"member_id\":1658400652876682647,\"revision\":33,\"raft_term\":2,"
        "\"ID\":8639771076024487219,\"TTL\":100,\"Error\":\"\"}\n");

  pb::LeaseTimeToLiveResponse ttl;
  ttl.set_id(0x123);
  ttl.set_ttl(299);
  ttl.set_grantedttl(300);
  const auto plain = [&](Printer& p) { return p.time_to_live(ttl, false); };
  const auto with_keys = [&](Printer& p) { return p.time_to_live(ttl, true); };
  CHECK(printed("simple", plain) == "lease 0000000000000123 granted with TTL(300s), remaining(299s)\n");
  CHECK(printed("json", plain) == "{\"id\":291,\"ttl\":299,\"granted-ttl\":300,\"keys\":null}\n");
  ttl.add_keys("k1");
  ttl.add_keys("k2");
  CHECK(printed("simple", with_keys) ==
        "lease 0000000000000123 granted with TTL(300s), remaining(299s), attached keys([k1 k2])\n");
  CHECK(printed("json", with_keys) == "{\"id\":291,\"ttl\":299,\"granted-ttl\":300,\"keys\":[\"azE=\",\"azI=\"]}\n");
  ttl.set_ttl(-1);
  ttl.set_grantedttl(0);
  CHECK(printed("simple", plain) == "lease 0000000000000123 already expired\n");

  pb::LeaseLeasesResponse list;
  list.add_leases()->set_id(0x123);
  CHECK(printed("simple", [&](Printer& p) { return p.leases(list); }) == "found 1 leases\n0000000000000123\n");
  CHECK(printed("json", [&](Printer& p) { return p.leases(list); }) == "{\"leases\":[{\"id\":291}]}\n");
  CHECK(printed("table", [&](Printer& p) { return p.leases(list); }) == "4 table not supported as output format");
}

TEST_CASE("printers: members, started or not") {
  const auto list = [](Printer& p) { return p.member_list(member_list()); };
  CHECK(printed("simple", list) ==
        "1703d29b71fd9597, started, y1, http://127.0.0.1:2380, http://127.0.0.1:2379, false\n"
        "b, unstarted, , http://127.0.0.1:23990, , true\n");
  CHECK(printed("json", list, true) ==
        "{\"header\":{\"cluster_id\":\"428ea03b9fd29d13\",\"member_id\":\"1703d29b71fd9597\",\"raft_term\":2},"
        "\"members\":"
        "[{\"ID\":\"1703d29b71fd9597\",\"name\":\"y1\",\"peerURLs\":[\"http://127.0.0.1:2380\"],\"clientURLs\":"
        "[\"http://127.0.0.1:2379\"]},{\"ID\":\"b\",\"peerURLs\":[\"http://127.0.0.1:23990\"],\"isLearner\":true}]}\n");
  CHECK(printed("fields", list).find("\"Revision\"") == std::string::npos);
  CHECK(printed("table", list) ==
        "┌──────────────────┬───────────┬──────┬────────────────────────┬───────────────────────┬────────────┐\n"
        "│        ID        │  STATUS   │ NAME │       PEER ADDRS       │     CLIENT ADDRS      │ IS LEARNER │\n"
        "├──────────────────┼───────────┼──────┼────────────────────────┼───────────────────────┼────────────┤\n"
        "│ 1703d29b71fd9597 │   started │   y1 │  http://127.0.0.1:2380 │ http://127.0.0.1:2379 │      false │\n"
        "│                b │ unstarted │      │ http://127.0.0.1:23990 │                       │       true │\n"
        "└──────────────────┴───────────┴──────┴────────────────────────┴───────────────────────┴────────────┘\n");
}

TEST_CASE("printers: the status of endpoints") {
  const auto status = [](Printer& p) { return p.status({endpoint_status()}); };
  CHECK(printed("simple", status) ==
        "127.0.0.1:2379, 1703d29b71fd9597, 3.7.1, 3.7.0, 25 kB, 16 kB, 34%, 2.1 GB, true, "
        "false, 2, 26, 26, , , false\n");
  CHECK(printed("json", status, true) ==
        "[{\"Endpoint\":\"127.0.0.1:2379\",\"Status\":{\"header\":{\"cluster_id\":4795946831141051667,\"member_id\":"
        "1658400652876682647,\"revision\":7,\"raft_term\":2},\"version\":\"3.7.1\",\"dbSize\":24576,\"leader\":"
        "1658400652876682647,\"raftIndex\":26,\"raftTerm\":2,\"raftAppliedIndex\":26,\"dbSizeInUse\":16384,"
        "\"storageVersion\":\"3.7.0\",\"dbSizeQuota\":2147483648,\"downgradeInfo\":{}}}]\n");
  CHECK(printed("fields", status)
            .ends_with("\"Errors\" : []\n\"Endpoint\" : \"127.0.0.1:2379\"\n"
                       "\"DowngradeTargetVersion\" : \"\"\n\"DowngradeEnabled\" : false\n\n"));
  CHECK(printed("json", [](Printer& p) { return p.status({}); }) == "null\n");
  CHECK(printed("protobuf", status) == "4 protobuf not supported as output format");
}

TEST_CASE("printers: the health of endpoints") {
  const std::vector<EndpointHealth> endpoints{
      {"127.0.0.1:2379", true, std::chrono::nanoseconds(2646044), ""},
      {"127.0.0.1:1", false, std::chrono::seconds(5), "context deadline exceeded"}};
  const auto health = [&](Printer& p) { return p.health(endpoints); };
  CHECK(printed("simple", health) ==
        "127.0.0.1:2379 is healthy: successfully committed proposal: took = 2.646044ms\n"
        "127.0.0.1:1 is unhealthy: failed to commit proposal: context deadline exceeded\n");
  CHECK(printed("json", health) ==
        "[{\"endpoint\":\"127.0.0.1:2379\",\"health\":true,\"took\":\"2.646044ms\"},"
        "{\"endpoint\":\"127.0.0.1:1\",\"health\":false,\"took\":\"5s\",\"error\":\"context deadline exceeded\"}]\n");
  CHECK(printed("fields", health)
            .starts_with("\"Endpoint\" : \"127.0.0.1:2379\"\n\"Health\" : true\n"
                         "\"Took\" : 2.646044ms\n\"Error\" : \n\n"));
}

TEST_CASE("printers: hashes as a table") {
  pb::HashKVResponse hash;
  hash.set_hash(3392136137);
  hash.set_hash_revision(37);
  CHECK(printed("table", [&](Printer& p) { return p.hash_kv({{"127.0.0.1:23179", hash}}); }) ==
        "┌─────────────────┬────────────┬───────────────┐\n"
        "│    ENDPOINT     │    HASH    │ HASH REVISION │\n"
        "├─────────────────┼────────────┼───────────────┤\n"
        "│ 127.0.0.1:23179 │ 3392136137 │            37 │\n"
        "└─────────────────┴────────────┴───────────────┘\n");
}

TEST_CASE("printers: alarms") {
  pb::AlarmResponse response;
  CHECK(printed("json", [&](Printer& p) { return p.alarms(response); }) == "{}\n");
  auto& alarm = *response.add_alarms();
  alarm.set_memberid(123);
  alarm.set_alarm(pb::NOSPACE);
  CHECK(printed("simple", [&](Printer& p) { return p.alarms(response); }) == "memberID:123 alarm:NOSPACE\n");
  CHECK(printed("json", [&](Printer& p) { return p.alarms(response); }) ==
        "{\"alarms\":[{\"memberID\":123,\"alarm\":1}]}\n");
}

TEST_CASE("printers: an unknown format has none") {
  std::ostringstream out;
  CHECK_FALSE(make_printer("yaml", {.out = out, .err = out}));
}
