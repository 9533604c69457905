// A data directory and a snapshot that a real etcd 3.7.1 wrote, read as bbolt and, copied row by row, as ours, against what
// etcd said of them.

#include <set>

#include "mvccdump_testing.h"

namespace etcdpp::mvccdump {

namespace {

// The recorded rows: "### bucket NAME", then key and value in hexadecimal.
void load_recorded(Member& member) {
  std::ifstream rows(kSamples + "/a-datadir/buckets-hex.txt");
  Bucket bucket{};
  for (std::string line; std::getline(rows, line);) {
    if (line.starts_with("### bucket ")) {
      bucket = backend::bucket_named(line.substr(11)).value();
      continue;
    }
    const std::size_t space = line.find(' ');
    member.put_row(bucket, unhex(line.substr(0, space)), unhex(line.substr(space + 1)));
  }
  member.commit();
}

// Both forms of the same database.
class Recorded {
 public:
  Recorded() : there_(unpack_sample(etcd_, "a-datadir/datadir.tar.gz")) {
    if (there_) load_recorded(ours_);
  }
  explicit operator bool() const { return there_; }
  std::vector<std::string> paths() const { return {etcd_.path(), ours_.folder.path()}; }
  const std::string& etcd() const { return etcd_.path(); }
  std::string bolt_file() const { return etcd_ / "member/snap/db"; }

 private:
  Folder etcd_;
  Member ours_;
  bool there_;
};

}  // namespace

TEST_CASE("mvccdump: every row of a recorded etcd, and no file is changed") {
  const Recorded recorded;
  if (!recorded) return;
  const std::string before = slurp(recorded.bolt_file());
  for (const std::string& path : recorded.paths()) {
    CAPTURE(path);
    const Answer answer = run(buckets_command, at(path));
    CHECK(answer.code() == Exit::kFine);
    std::string rows, bucket;
    for (const auto& line : answer.lines()) {
      if (line["bucket"] != bucket) rows += "### bucket " + (bucket = line["bucket"].get<std::string>()) + "\n";
      rows += line["key"].get<std::string>() + " " + line["value"].get<std::string>() + "\n";
    }
    CHECK(rows == slurp(kSamples + "/a-datadir/buckets-hex.txt"));
    const Answer text = run(buckets_command, at(path), Format::kTable);
    CHECK(text.wrong_rows == 0);  // everything was decoded
    CHECK(text.text.find("$2a$") == std::string::npos);  // no password's hash
    for (const auto& command : {revisions_command, keys_command, ls_command, leases_command, auth_command, members_command, meta_command, stats_command, hash_command, verify_command}) {
      for (const Format format : {Format::kTable, Format::kJson}) CHECK(run(command, at(path), format).code() == Exit::kFine);
    }
  }
  CHECK(slurp(recorded.bolt_file()) == before);
}

TEST_CASE("mvccdump: keys and values at every revision are those that etcd answered") {
  const Recorded recorded;
  if (!recorded) return;
  std::ifstream in(kSamples + "/a-datadir/get-prefix-per-revision.jsonl");
  int answered = 0, refused = 0;
  for (std::string line; std::getline(in, line);) {
    const auto expected = nlohmann::json::parse(line);
    const std::int64_t revision = expected["rev"];
    CAPTURE(revision);
    for (const std::string& path : recorded.paths()) {
      Options options = at(path);
      options.revision = revision;
      const Answer keys = run(export_command, options);
      const Answer names = run(ls_command, options);
      if (!expected.contains("res")) {
        CHECK_FALSE(keys.exit.has_value());
        CHECK_FALSE(names.exit.has_value());
        ++refused;
        continue;
      }
      REQUIRE(keys.exit.has_value());
      std::map<std::string, nlohmann::json> found;
      for (const auto& kv : keys.lines()) found[data_of(kv, "key")] = kv;
      CHECK(names.lines().size() == found.size());
      const auto& kvs = expected["res"].value("kvs", nlohmann::json::array());
      CHECK(kvs.size() == found.size());
      for (const auto& kv : kvs) {
        const auto there = found.find(unbase64(kv["key"].get<std::string>()));
        REQUIRE(there != found.end());
        for (const char* field : {"create_revision", "mod_revision", "version"}) CHECK(there->second[field] == kv[field]);
        CHECK(there->second["lease"] == kv.value("lease", std::int64_t{0}));
        CHECK(data_of(there->second, "value") == unbase64(kv.value("value", "")));
      }
      ++answered;
    }
  }
  CHECK(answered == 2 * 49);
  CHECK(refused == 2 * 155);
}

TEST_CASE("mvccdump: hashes are etcd's, at every revision") {
  const Recorded recorded;
  if (!recorded) return;
  std::ifstream in(kSamples + "/a-datadir/hashkv-per-revision.jsonl");
  int compared = 0;
  for (std::string line; std::getline(in, line);) {
    const auto expected = nlohmann::json::parse(line);
    // At 47 and 155 the member had the hashes of its compactions in memory, which no database holds.
    if (line.find("\"hash\":") == std::string::npos || expected["rev"] <= 155) continue;
    for (const std::string& path : recorded.paths()) {
      Options options = at(path);
      options.revision = expected["rev"];
      const Answer answer = run(hash_command, options);
      REQUIRE(answer.exit.has_value());
      const auto hash = answer.lines().at(0);
      CHECK(line.find("\"hash\":" + std::to_string(hash["hash"].get<std::uint64_t>())) != std::string::npos);
      CHECK(hash["compact_revision"] == 155);
      CHECK(hash["database_hash"] == 1923410633);
      CHECK(hash["snapshot_hash"] == 1519721279);
      ++compared;
    }
  }
  CHECK(compared == 2 * 48);
  Options options = at(recorded.etcd());
  options.revision = 154;
  CHECK_FALSE(run(hash_command, options).exit.has_value());
  options.revision = 204;
  CHECK_FALSE(run(hash_command, options).exit.has_value());
}

TEST_CASE("mvccdump: leases, users, roles, members and marks of a recorded etcd") {
  const Recorded recorded;
  if (!recorded) return;
  for (const std::string& path : recorded.paths()) {
    CAPTURE(path);
    const auto leases = run(leases_command, at(path)).lines();
    const auto expected_leases = sample_json("lease-list.json")["leases"];
    REQUIRE(leases.size() == expected_leases.size());
    std::set<std::int64_t> ids;
    for (const auto& lease : expected_leases) ids.insert(lease["id"].get<std::int64_t>());
    for (const auto& lease : leases) CHECK(ids.contains(std::stoll(lease["id"].get<std::string>(), nullptr, 16)));
    CHECK(leases[0]["ttl"] == 3600);
    CHECK(leases[1]["ttl"] == 7200);
    CHECK(leases[1]["keys"] == nlohmann::json::array({"lk2", "lk3"}));

    const Answer auth = run(auth_command, at(path));
    const auto lines = auth.lines();
    CHECK(lines[0] == nlohmann::json({{"enabled", false}, {"revision", 17}}));
    CHECK(lines[1] == nlohmann::json({{"user", "alice"}, {"roles", {"r1"}}, {"has_password", true}, {"no_password", false}}));
    CHECK(lines[2]["no_password"] == true);
    CHECK(lines[4]["permissions"].size() == 3);
    CHECK(lines[4]["permissions"][2] == nlohmann::json({{"type", "WRITE"}, {"key", "zz"}, {"range_end", "zzz"}}));
    CHECK(auth.text.find("$2a$") == std::string::npos);

    const auto members = run(members_command, at(path)).lines();
    CHECK(members.at(0)["id"] == "e860b7bb8b36dbde");
    CHECK(members.at(0)["client_urls"] == nlohmann::json::array({"http://127.0.0.1:24010"}));
    CHECK(members.at(1)["state"] == "removed");

    const auto meta = run(meta_command, at(path)).lines().at(0);
    CHECK(meta["consistent_index"] == 249);
    CHECK(meta["term"] == 2);
    CHECK(meta["scheduled_compact_revision"] == 155);
    CHECK(meta["finished_compact_revision"] == 155);
    CHECK(meta["storage_version"] == "3.7.0");
    CHECK(meta["conf_state"]["voters"][0] == 16744585430685899742u);
    CHECK(meta["revision"] == 203);
    CHECK(meta["rows"]["key"] == 99);
  }
}

TEST_CASE("mvccdump: our form, etcd's form and its snapshot are the same by diff, and what differs is told") {
  const Recorded recorded;
  if (!recorded) return;
  Options options = at(recorded.paths()[0]);
  for (const std::string& other : {recorded.paths()[1], kSamples + "/b-snapshot/snap.db"}) {
    options.other = other;
    const Answer answer = run(diff_command, options);
    CHECK(answer.code() == Exit::kFine);
    CHECK(answer.text.empty());
  }
  options.revision = 190;
  CHECK(run(diff_command, options).code() == Exit::kFine);
  const Folder folder;
  if (!unpack_sample(folder, "a2-auth-downgrade/datadir.tar.gz")) return;
  options.revision = 0;
  options.other = folder.path();
  const Answer answer = run(diff_command, options);
  CHECK(answer.code() == Exit::kNo);
  CHECK(answer.text.find("\"difference\":\"only in A\"") != std::string::npos);
  CHECK(answer.text.find("$2a$") == std::string::npos);
}

TEST_CASE("mvccdump: an export has every row, and is what verify calls whole") {
  const Recorded recorded;
  if (!recorded) return;
  const Folder folder;
  int n = 0;
  for (const std::string& path : recorded.paths()) {
    Options options = at(path);
    options.bbolt = folder / std::to_string(n++);
    options.snapshot = n == 2;
    CHECK(run(export_command, options).code() == Exit::kFine);
    CHECK(run(buckets_command, at(options.bbolt)).text == run(buckets_command, at(path)).text);
    CHECK(run(verify_command, at(options.bbolt)).code() == Exit::kFine);
    CHECK(run(meta_command, at(options.bbolt)).lines()[0]["sha256_trailer"] == (options.snapshot ? "right" : "none"));
    // Never over a file that is there.
    CHECK_FALSE(run(export_command, options).exit.has_value());
  }
}

}  // namespace etcdpp::mvccdump
