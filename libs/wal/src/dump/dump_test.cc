#include <etcdpp/wal/dump.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>

#include <etcdpp/wal/wal.h>
#include <etcdserverpb/raft_internal.pb.h>
#include <nlohmann/json.hpp>
#include <raftpb/raft.pb.h>
#include <support/fault_env.h>

using namespace etcdpp;
using test::FaultEnv;
using wal::DumpOptions;
using wal::Ending;
using wal::Wal;

namespace {

const std::string kDir = "/d/member/wal";

struct Dumped {
  Ending ending;
  std::string text;
};

Dumped dump(FaultEnv& env, const DumpOptions& options = {}, const std::string& path = "/d") {
  std::string text;
  const std::vector<std::string> paths = {path};
  const auto ending = wal::dump(env, paths, options, {}, [&](base::BytesView piece) {
    text += piece;
    return true;
  });
  REQUIRE_MESSAGE(ending, ending.error().message());
  return {*ending, text};
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

raft::Entry request(raft::Index index, const std::function<void(etcdserverpb::InternalRaftRequest&)>& fill) {
  etcdserverpb::InternalRaftRequest made;
  made.mutable_header()->set_id(0xabc);
  made.mutable_header()->set_username("operator");
  fill(made);
  return {raft::EntryType::kNormal, 2, index, base::SharedBytes(made.SerializeAsString())};
}

// A log with some of everything.
std::vector<raft::Entry> some_entries() {
  std::vector<raft::Entry> entries;
  raftpb::ConfChange change;
  change.set_type(raftpb::ConfChangeAddNode);
  change.set_node_id(0xe860b7bb8b36dbde);
  entries.push_back({raft::EntryType::kConfChange, 1, 1, base::SharedBytes(change.SerializeAsString())});
  entries.push_back({raft::EntryType::kNormal, 2, 2, {}});
  entries.push_back(request(3, [](auto& r) {
    r.mutable_put()->set_key("evil\x1b[31mkey");
    r.mutable_put()->set_value("quote\" and \\");
    r.mutable_put()->set_lease(0x1234);
  }));
  entries.push_back(request(4, [](auto& r) {
    r.mutable_auth_user_add()->set_name("root");
    r.mutable_auth_user_add()->set_password("hunter2");
    r.mutable_auth_user_add()->set_hashedpassword("$2a$10$secret");
  }));
  entries.push_back(request(5, [](auto& r) { r.mutable_authenticate()->set_simple_token("toktoktok.17"); }));
  entries.push_back(request(6, [](auto& r) {
    auto* txn = r.mutable_txn();
    for (int depth = 0; depth < 126; ++depth) txn = txn->add_success()->mutable_request_txn();
    txn->add_failure()->mutable_request_delete_range()->set_key("deepest");
  }));
  entries.push_back({raft::EntryType::kNormal, 2, 7, base::SharedBytes(std::string_view("\xff\xff no request"))});
  return entries;
}

void make_log(FaultEnv& env, const std::vector<raft::Entry>& entries, wal::Options options = {}) {
  REQUIRE(env.make_directories("/d/member"));
  auto log = Wal::create(env, kDir, {11, 22}, options);
  REQUIRE(log);
  for (const raft::Entry& entry : entries) REQUIRE((*log)->save({entry.term, 11, entry.index}, std::span(&entry, 1)));
  REQUIRE((*log)->close());
}

const std::string kFirst = kDir + "/0000000000000000-0000000000000000.wal";

}  // namespace

TEST_CASE("dump: requests in words, nothing for a terminal to obey, no secrets") {
  FaultEnv env;
  make_log(env, some_entries());
  for (const bool json : {false, true}) {
    for (const bool hex : {false, true}) {
      const Dumped dumped = dump(env, {.style = {.json = json, .full = true}, .hex = hex});
      CHECK(dumped.ending == Ending::kIntact);
      CHECK(has(dumped.text, "ConfChangeAddNode"));
      CHECK(has(dumped.text, "e860b7bb8b36dbde"));
      CHECK(has(dumped.text, "deepest"));
      CHECK(has(dumped.text, "1234"));
      CHECK(has(dumped.text, "<redacted>"));
      CHECK(has(dumped.text, "undecodable"));
      CHECK(has(dumped.text, "intact"));
      CHECK(dumped.text.find_first_not_of("\n !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~") == std::string::npos);
      for (const char* secret : {"hunter2", "$2a$10$secret", "toktoktok"}) {
        CHECK(!has(dumped.text, secret));
        // Nor in hexadecimal, whatever the grouping.
        std::string digits;
        for (const char c : dumped.text)
          if (c != ' ') digits += c;
        CHECK(!has(digits, base::hex(base::BytesView(secret))));
      }
    }
  }
  CHECK(has(dump(env).text, R"(kind=put request={key="evil\x1b[31mkey" value="quote\" and \\" lease=1234})"));
  CHECK(has(dump(env).text, "user=\"operator\""));
}

TEST_CASE("dump: one JSON object a line, the verdict last") {
  FaultEnv env;
  make_log(env, some_entries());
  const std::string text = dump(env, {.style = {.json = true}}).text;
  std::vector<nlohmann::json> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(nlohmann::json::parse(text.substr(at, end - at)));
    at = end + 1;
  }
  CHECK(lines.size() == 3 + 7 * 2 + 1);
  CHECK(lines[0]["type"] == "crc");
  CHECK(lines[0]["word"] == "8400000000000004");
  CHECK(lines[2]["offset"] == 40);
  CHECK(lines.back()["verdict"] == "intact");
  CHECK(lines.back()["last-index"] == 7);
}

TEST_CASE("dump: the last few, frames alone") {
  FaultEnv env;
  make_log(env, some_entries());
  const std::string last = dump(env, {.last = 2}).text;
  CHECK(has(last, "index=7"));
  CHECK(!has(last, "index=6"));
  CHECK(has(last, "segment " + kFirst));
  const std::string frames = dump(env, {.frames_only = true}).text;
  CHECK(has(frames, "entry"));
  CHECK(!has(frames, "kind="));
}

TEST_CASE("dump: a reader that leaves ends it quietly") {
  FaultEnv env;
  std::vector<raft::Entry> entries;
  for (raft::Index i = 1; i <= 3000; ++i) entries.push_back({raft::EntryType::kNormal, 1, i, {}});
  make_log(env, entries);
  int pieces = 0;
  const std::vector<std::string> paths = {"/d", "/d", "/d"};
  const auto ending = wal::dump(env, paths, {}, {}, [&](base::BytesView) { return ++pieces < 2; });
  CHECK(ending.has_value());
  CHECK(pieces == 2);
}

TEST_CASE("dump: paths are data directories, log directories or segments, what cannot be read is an error") {
  FaultEnv env;
  wal::Options options;
  options.segment_size = 1000;
  std::vector<raft::Entry> entries;
  for (raft::Index i = 1; i <= 60; ++i) entries.push_back({raft::EntryType::kNormal, 1, i, base::SharedBytes(std::string(100, 'x'))});
  make_log(env, entries, options);
  const std::string whole = dump(env, {.frames_only = true}).text;
  CHECK(dump(env, {.frames_only = true}, kDir).text == whole);
  CHECK(dump(env, {.frames_only = true}, "/d/member").text == whole);
  CHECK(has(whole, "entries 1 to 60"));
  // A later segment by itself: its checksum record says where the chain goes on.
  const auto names = env.list(kDir).value();
  REQUIRE(names.size() > 3);
  CHECK(dump(env, {}, kDir + "/" + names[2]).ending == Ending::kIntact);
  // A hole in the sequence.
  REQUIRE(env.remove(kDir + "/" + names[2]));
  CHECK(dump(env).ending == Ending::kDamaged);
  const std::vector<std::string> absent = {"/nowhere"};
  CHECK(!wal::dump(env, absent, {}, {}, [](base::BytesView) { return true; }));
  REQUIRE(env.make_directories("/e"));
  const std::vector<std::string> no_log = {"/e"};
  CHECK(wal::dump(env, no_log, {}, {}, [](base::BytesView) { return true; }).error().code == wal::Errc::kFileNotFound);
}

TEST_CASE("dump: at every cut and every flipped byte the verdict is what opening does") {
  FaultEnv env;
  auto entries = some_entries();
  entries.resize(5);
  make_log(env, entries);
  const std::string whole = env.contents(kFirst);
  const std::string intact = whole.substr(0, whole.find_last_not_of('\0') + 1 + 256);
  const auto judge = [&](const std::string& bytes) {
    env.plant(kFirst, bytes);
    const Dumped dumped = dump(env, {.hex = true, .show_damaged = true});
    CHECK(!has(dumped.text, "hunter2"));
    CHECK(!has(dumped.text, base::hex(base::BytesView("nter2"))));
    const auto opened = Wal::open(env, kDir, {});
    if (!opened) {
      CHECK(dumped.ending == Ending::kDamaged);
      // A refused log is left as it was found, and the refusal names the place and what to run.
      CHECK(env.contents(kFirst) == bytes);
      CHECK(has(opened.error().message(), "waldump --verify " + kDir));
      CHECK(has(opened.error().message(), kDir));
    } else if (opened->read.repaired) {
      CHECK(dumped.ending == Ending::kTornTail);
      CHECK(has(dumped.text.substr(dumped.text.find("verdict: ")), "at byte " + std::to_string(env.contents(kFirst).size()) + " of"));
      CHECK(env.contents(kFirst + ".broken") == bytes);
    } else {
      CHECK((dumped.ending == Ending::kIntact || dumped.ending == Ending::kHiddenData || dumped.ending == Ending::kContradiction));
    }
    return dumped.ending;
  };
  std::map<Ending, int> endings;
  for (std::size_t length = 0; length <= intact.size(); ++length) {
    CAPTURE(length);
    ++endings[judge(intact.substr(0, length))];
  }
  CHECK(endings[Ending::kTornTail] > 400);
  CHECK(endings[Ending::kDamaged] > 10);
  for (std::size_t at = 0; at < intact.size(); ++at) {
    for (const unsigned flip : {0x01u, 0x40u, 0x80u, 0xffu}) {
      CAPTURE(at);
      CAPTURE(flip);
      std::string damaged = intact;
      damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ flip);
      ++endings[judge(damaged)];
    }
  }
  CHECK(endings[Ending::kDamaged] > 1000);
}

TEST_CASE("dump: damaged frames are told from their sound neighbours, and their bytes are kept back") {
  FaultEnv env;
  auto entries = some_entries();
  entries.resize(5);
  make_log(env, entries);
  std::string bytes = env.contents(kFirst);
  const std::size_t at = bytes.find("hunter2");
  bytes[at - 3] = static_cast<char>(bytes[at - 3] ^ 1);
  env.plant(kFirst, bytes);
  const Dumped dumped = dump(env, {.hex = true});
  CHECK(dumped.ending == Ending::kDamaged);
  std::size_t mismatches = 0;
  for (std::size_t p = 0; (p = dumped.text.find("crc-mismatch", p)) != std::string::npos; ++p) ++mismatches;
  CHECK(mismatches == 1);
  CHECK(!has(dumped.text, base::hex(base::BytesView("nter"))));
  CHECK(has(dumped.text, "withheld"));
  CHECK(has(dump(env, {.show_damaged = true}).text, "index=5"));
  CHECK(!has(dump(env, {.hex = true, .show_damaged = true}).text, base::hex(base::BytesView("nter"))));
}

TEST_CASE("dump: what a damaged frame says is shown when asked for, unless it might be a request of auth") {
  FaultEnv env;
  auto entries = some_entries();
  make_log(env, entries);
  std::string bytes = env.contents(kFirst);
  const std::size_t at = bytes.find("quote");
  bytes[at] = 'Q';
  env.plant(kFirst, bytes);
  CHECK(!has(dump(env).text, "Quote"));
  CHECK(has(dump(env, {.show_damaged = true}).text, "Quote"));
}
