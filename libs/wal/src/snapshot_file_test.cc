#include <etcdpp/wal/snapshot_file.h>

#include <doctest/doctest.h>

#include <support/fault_env.h>

using namespace etcdpp;
using test::FaultEnv;
using wal::Errc;

namespace {
raft::Snapshot snapshot(raft::Term term, raft::Index index) {
  raft::Snapshot made;
  made.data = base::SharedBytes(std::string_view("document"));
  made.metadata = {{{1, 2}, {3}, {}, {}, false}, index, term};
  return made;
}
}  // namespace

TEST_CASE("snapshot file: written, durable and read, index 0 is none") {
  FaultEnv env;
  REQUIRE(env.make_directories("/snap"));
  REQUIRE(env.sync_directory("/"));
  REQUIRE(wal::write_snapshot_file(env, "/snap", snapshot(2, 0x65)));
  REQUIRE(wal::write_snapshot_file(env, "/snap", {}));
  env.crash(FaultEnv::Loss::kAll);
  CHECK(env.list("/snap").value() == std::vector<std::string>{"0000000000000002-0000000000000065.snap"});
  CHECK(wal::read_snapshot_file(env, "/snap/0000000000000002-0000000000000065.snap").value() == snapshot(2, 0x65));
}

TEST_CASE("snapshot file: a failed write leaves none") {
  for (std::uint64_t n = 0; n < 3; ++n) {
    FaultEnv env;
    REQUIRE(env.make_directories("/snap"));
    env.fail_call(n, std::errc::no_space_on_device, 5);
    CHECK(!wal::write_snapshot_file(env, "/snap", snapshot(2, 5)));
    CHECK(env.list("/snap").value().empty());
  }
}

TEST_CASE("snapshot file: the newest that reads is loaded, damaged ones are put aside") {
  FaultEnv env;
  REQUIRE(env.make_directories("/snap"));
  REQUIRE(wal::load_newest_snapshot(env, "/snap").error().code == Errc::kNoSnapshot);
  REQUIRE(wal::write_snapshot_file(env, "/snap", snapshot(2, 9)));
  REQUIRE(wal::write_snapshot_file(env, "/snap", snapshot(3, 4)));
  const std::string newest = "/snap/0000000000000003-0000000000000004.snap";
  const std::string intact = env.contents(newest);
  for (std::size_t at = 0; at < intact.size(); ++at) {
    std::string damaged = intact;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    env.plant(newest, damaged);
    // The bits of the checksum's varint above the 32nd mean nothing.
    const auto read = wal::read_snapshot_file(env, newest);
    CHECK((!read || *read == snapshot(3, 4)));
    env.plant(newest, intact.substr(0, at));
    CHECK(!wal::read_snapshot_file(env, newest));
  }
  env.plant(newest, "");
  CHECK(wal::read_snapshot_file(env, newest).error().code == Errc::kEmptySnapshot);
  env.plant("/snap/db.tmp.123", "half a defragmentation");
  CHECK(wal::load_newest_snapshot(env, "/snap").value().metadata.index == 9);
  CHECK(env.exists(newest + ".broken"));
  CHECK(!env.exists(newest));
  CHECK(!env.exists("/snap/db.tmp.123"));
}

TEST_CASE("snapshot file: purges keep the newest") {
  FaultEnv env;
  REQUIRE(env.make_directories("/snap"));
  for (raft::Index i = 1; i <= 7; ++i) {
    REQUIRE(wal::write_snapshot_file(env, "/snap", snapshot(1, i)));
    env.plant("/snap/" + wal::database_snapshot_name(i), "db");
  }
  CHECK(wal::purge_snapshots(env, "/snap", "snap", 0).value() == 0);
  CHECK(wal::purge_snapshots(env, "/snap", "snap", 5).value() == 2);
  CHECK(!env.exists("/snap/" + wal::snapshot_file_name({1, 2})));
  CHECK(env.exists("/snap/" + wal::snapshot_file_name({1, 3})));
  REQUIRE(wal::remove_database_snapshots_below(env, "/snap", 4));
  CHECK(!env.exists("/snap/" + wal::database_snapshot_name(3)));
  CHECK(env.exists("/snap/" + wal::database_snapshot_name(4)));
}

TEST_CASE("store document: text as Go's encoder writes it, and the ring of events wraps") {
  wal::StoreMember member{0xab, {"http://h?a=1&b=<2>"}, true, "na\"me\n\xff", {"http://c"}};
  const std::vector<wal::StoreMember> members = {member};
  const std::string document = wal::encode_store_document(members, {}, "");
  CHECK(document.find(R"("Value":"{\"peerURLs\":[\"http://h?a=1\\u0026b=\\u003c2\\u003e\"],\"isLearner\":true}")") != std::string::npos);
  CHECK(document.find(R"("{\"name\":\"na\\\"me\\n\\ufffd\",\"clientURLs\":[\"http://c\"]}")") != std::string::npos);
  CHECK(document.find("\"version\"") == std::string::npos);
  CHECK(document.find("removed_members") == std::string::npos);

  std::vector<std::uint64_t> removed;
  for (std::uint64_t id = 1; id <= 1500; ++id) removed.push_back(id);
  const std::string large = wal::encode_store_document({}, removed, "3.7.0");
  CHECK(large.find(R"("Size":1000,"Front":501,"Back":501,"Capacity":1000},"StartIndex":502,"LastIndex":1501}})") != std::string::npos);
  CHECK(large.find("null") < large.find("WatcherHub"));
  CHECK(large.find("null", large.find("WatcherHub")) == std::string::npos);
}
