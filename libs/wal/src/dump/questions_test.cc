// Filters and questions, on a log whose content is known, and that none of them changes a byte.

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include <etcdpp/proto/wire.h>
#include <etcdpp/wal/dump.h>
#include <etcdpp/wal/wal.h>
#include <etcdserverpb/raft_internal.pb.h>
#include <nlohmann/json.hpp>
#include <raftpb/raft.pb.h>
#include <support/fault_env.h>

using namespace etcdpp;
using Json = nlohmann::json;
using test::FaultEnv;
using wal::DumpOptions;
using wal::Ending;

namespace {

const std::string kDir = "/d/member/wal";

raft::Entry request(raft::Index index, raft::Term term, const std::function<void(etcdserverpb::InternalRaftRequest&)>& fill, const std::string& user = "") {
  etcdserverpb::InternalRaftRequest made;
  made.mutable_header()->set_id(1000 + index);
  made.mutable_header()->set_username(user);
  fill(made);
  return {raft::EntryType::kNormal, term, index, base::SharedBytes(made.SerializeAsString())};
}

raft::Entry put(raft::Index index, raft::Term term, const std::string& key, const std::string& value, std::int64_t lease = 0, const std::string& user = "") {
  return request(index, term, [&](auto& r) {
    r.mutable_put()->set_key(key);
    r.mutable_put()->set_value(value);
    r.mutable_put()->set_lease(lease);
  }, user);
}

struct Log {
  FaultEnv env;
  std::unique_ptr<wal::Wal> wal;
  raft::Term term = 1;

  explicit Log(wal::Options options = {}, const std::string& directory = kDir) {
    REQUIRE(env.make_directories("/d/member"));
    wal = wal::Wal::create(env, directory, {11, 22}, options).value();
  }
  void add(const raft::Entry& entry, raft::Index commit) { REQUIRE(wal->save({entry.term, 11, commit}, std::span(&entry, 1))); }
  void add(const raft::Entry& entry) { add(entry, entry.index); }
};

void fill(Log& log) {
  raftpb::ConfChange change;
  change.set_type(raftpb::ConfChangeAddNode);
  change.set_node_id(11);
  log.add({raft::EntryType::kConfChange, 1, 1, base::SharedBytes(change.SerializeAsString())});
  log.add({raft::EntryType::kNormal, 2, 2, {}});
  log.add(put(3, 2, "app/a", "1"));                                                                // revision 2
  log.add(request(4, 2, [](auto& r) { r.mutable_lease_grant()->set_id(0x77); r.mutable_lease_grant()->set_ttl(60); }));
  log.add(put(5, 2, "app/b", std::string(5000, 'b'), 0x77));                                      // 3
  log.add(put(6, 2, "app/missing-lease", "x", 0x99));                                             // refused
  log.add(request(7, 2, [](auto& r) {                                                              // 4: app/a is there
    auto* compare = r.mutable_txn()->add_compare();
    compare->set_target(etcdserverpb::Compare::VERSION);
    compare->set_result(etcdserverpb::Compare::GREATER);
    compare->set_key("app/a");
    compare->set_version(0);
    r.mutable_txn()->add_success()->mutable_request_put()->set_key("app/a");
    r.mutable_txn()->mutable_success(0)->mutable_request_put()->set_value("2");
    r.mutable_txn()->add_success()->mutable_request_put()->set_key("other");
    r.mutable_txn()->add_failure()->mutable_request_delete_range()->set_key("app/a");
  }));
  log.add(request(8, 3, [](auto& r) { r.mutable_delete_range()->set_key("nothing"); }));            // no revision
  log.add({raft::EntryType::kNormal, 4, 9, {}});
  log.add(request(10, 4, [](auto& r) { r.mutable_delete_range()->set_key("app/"); r.mutable_delete_range()->set_range_end("app0"); }, "bob"));  // 5
  log.add(put(11, 4, "app/b", "again", 0x77, "alice"));                                           // 6
  log.add(request(12, 4, [](auto& r) { r.mutable_lease_revoke()->set_id(0x77); }));                 // 7
  log.add(put(13, 4, std::string("\x01\xff", 2), "binary"), 12);                                    // not committed here
}

std::vector<Json> lines(const std::string& text) {
  std::vector<Json> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    out.push_back(Json::parse(text.substr(at, end - at)));
    at = end + 1;
  }
  return out;
}

struct Answer {
  Ending ending;
  std::string text;
};

template <typename Ask>
Answer ask(const Ask& asking) {
  std::string text;
  const auto ending = asking([&](base::BytesView piece) {
    text += piece;
    return true;
  });
  REQUIRE_MESSAGE(ending, ending.error().message());
  return {*ending, text};
}

Answer dump(FaultEnv& env, const DumpOptions& options, const wal::DumpHooks& hooks = {}) {
  const std::vector<std::string> paths = {"/d"};
  return ask([&](const wal::Sink& out) { return wal::dump(env, paths, options, hooks, out); });
}

std::vector<std::uint64_t> indices(FaultEnv& env, const wal::Filter& filter) {
  DumpOptions options;
  options.style.json = true;
  options.filter = filter;
  std::vector<std::uint64_t> found;
  for (const Json& line : lines(dump(env, options).text))
    if (line.contains("type") && line["type"] == "entry") found.push_back(line["payload"]["index"].get<std::uint64_t>());
  return found;
}

using Indices = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("filter: ranges, types, kinds, keys, leases, users and sizes") {
  Log log;
  fill(log);
  const auto with = [&](const auto& set) {
    wal::Filter filter;
    set(filter);
    return indices(log.env, filter);
  };
  CHECK(with([](auto& f) { f.index = wal::NumberRange{3, 5}; }) == Indices{3, 4, 5});
  CHECK(with([](auto& f) { f.term = wal::NumberRange{3, 3}; }) == Indices{8});
  CHECK(with([](auto& f) { f.types = {"conf-change"}; }) == Indices{1});
  CHECK(with([](auto& f) { f.types = {"state"}; }).empty());
  CHECK(with([](auto& f) { f.kinds = {"lease"}; }) == Indices{4, 12});
  CHECK(with([](auto& f) { f.kinds = {"delete-range", "txn"}; }) == Indices{7, 8, 10});
  CHECK(with([](auto& f) { f.kinds = {"empty"}; }) == Indices{2, 9});
  CHECK(with([](auto& f) { f.key = "app/a"; }) == Indices{3, 7, 10});
  CHECK(with([](auto& f) { f.prefix = "app/"; }) == Indices{3, 5, 6, 7, 10, 11});
  CHECK(with([](auto& f) { f.prefix = "oth"; }) == Indices{7});
  CHECK(with([](auto& f) { f.key = std::string("\x01\xff", 2); }) == Indices{13});
  CHECK(with([](auto& f) { f.lease = 0x77; }) == Indices{4, 5, 11, 12});
  CHECK(with([](auto& f) { f.user = "bob"; }) == Indices{10});
  CHECK(with([](auto& f) { f.size = wal::NumberRange{1000, 1 << 20}; }) == Indices{5});
  CHECK(with([](auto& f) { f.kinds = {"put"}; f.term = wal::NumberRange{4, 9}; f.lease = 0x77; }) == Indices{11});

  wal::Filter wrong;
  wrong.kinds = {"puts"};
  CHECK(wal::validate(wrong).error().code == wal::Errc::kBadFilter);
  wrong = {};
  wrong.types = {"entries"};
  CHECK(wal::validate(wrong).error().code == wal::Errc::kBadFilter);
}

TEST_CASE("filter: ranges are numbers, and sizes have units") {
  const auto is = [](std::string_view text, std::uint64_t from, std::uint64_t to, bool units = false) {
    const auto range = wal::parse_range(text, units);
    return range && range->from == from && range->to == to;
  };
  const std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  CHECK(is("7", 7, 7));
  CHECK(is("7-9", 7, 9));
  CHECK(is("7..9", 7, 9));
  CHECK(is("7-", 7, most));
  CHECK(is("-9", 0, 9));
  CHECK(is("1k-2M", 1024, 2 << 20, true));
  for (const char* bad : {"", "-", "x", "7-x", "9-7", "1k", "99999999999999999999", "7-8-9"}) CHECK(!wal::parse_range(bad));
}

TEST_CASE("dump: the last of those that pass, and from the newest snapshot on") {
  Log log;
  fill(log);
  DumpOptions options;
  options.style.json = true;
  options.filter.kinds = {"put"};
  options.last = 2;
  auto found = lines(dump(log.env, options).text);
  REQUIRE(found.size() == 3);
  CHECK(found[0]["payload"]["index"] == 11);
  CHECK(found[1]["payload"]["index"] == 13);
  CHECK(found[2]["shown"] == 2);

  REQUIRE(log.wal->save_snapshot({10, 4, raft::ConfState{{11}, {}, {}, {}, false}}));
  log.add(put(14, 4, "late", "x"));
  options = {};
  options.style.json = true;
  options.since_snapshot = true;
  found = lines(dump(log.env, options).text);
  Indices shown;
  for (const Json& line : found)
    if (line.contains("type") && line["type"] == "entry") shown.push_back(line["payload"]["index"].get<std::uint64_t>());
  CHECK(shown == Indices{11, 12, 13, 14});
  CHECK(std::count_if(found.begin(), found.end(), [](const Json& line) { return line.contains("type") && line["type"] == "snapshot"; }) == 1);
}

TEST_CASE("history: every write to a key with its revision, and why one changed nothing") {
  Log log;
  fill(log);
  const std::vector<std::string> paths = {"/d"};
  const auto of = [&](const std::string& key) {
    return lines(ask([&](const wal::Sink& out) { return wal::history(log.env, paths, key, {.json = true}, {}, out); }).text);
  };
  auto rows = of("app/a");
  REQUIRE(rows.size() == 5);
  CHECK(rows[0]["index"] == 3);
  CHECK(rows[0]["revision"] == 2);
  CHECK(rows[0]["value"] == "1");
  CHECK(rows[1]["index"] == 7);
  CHECK(rows[1]["revision"] == 4);
  CHECK(rows[1]["version"] == 2);
  CHECK(rows[2]["history"] == "delete");
  CHECK(rows[2]["index"] == 10);
  CHECK(rows[2]["revision"] == 5);
  CHECK(rows[2]["user"] == "bob");
  CHECK(rows[3]["store-revision"] == 8);
  rows = of("app/b");
  CHECK(rows[0]["lease"] == "77");
  CHECK(rows[2]["revision"] == 6);
  CHECK(rows[2]["version"] == 1);
  CHECK(rows[3]["history"] == "delete");
  CHECK(rows[3]["kind"] == "lease_revoke");
  CHECK(rows[3]["revision"] == 7);
  rows = of("app/missing-lease");
  CHECK(rows[0]["refused"] == "etcdserver: requested lease not found");
  CHECK(!rows[0].contains("revision"));
  rows = of("other");
  CHECK(rows[0]["revision"] == 4);
  CHECK(rows[0]["sub-revision"] == 1);
  rows = of(std::string("\x01\xff", 2));
  CHECK(rows[0]["committed"] == false);
}

TEST_CASE("history: without the log's beginning there are writes, but no revisions") {
  wal::Options options;
  options.segment_size = 1500;
  Log log(options);
  fill(log);
  for (raft::Index i = 14; i < 60; ++i) log.add(put(i, 4, i % 2 ? "odd" : "even", std::string(50, 'x'), 0x55));
  log.add(request(60, 4, [](auto& r) { r.mutable_lease_revoke()->set_id(0x55); }));
  const auto names = log.env.list(kDir).value();
  REQUIRE(names.size() > 3);
  REQUIRE(log.env.remove(kDir + "/" + names[0]));
  const std::vector<std::string> paths = {"/d"};
  const auto rows = lines(ask([&](const wal::Sink& out) { return wal::history(log.env, paths, "odd", {.json = true}, {}, out); }).text);
  CHECK(rows.size() > 10);
  CHECK(!rows[0].contains("revision"));
  CHECK(rows[0]["kind"] == "put");
  CHECK(rows[rows.size() - 3]["history"] == "delete");
  CHECK(rows[rows.size() - 2].contains("revisions-unknown"));
}

TEST_CASE("summary: counts, biggest, hottest, leaders, conf changes") {
  Log log;
  fill(log);
  const std::vector<std::string> paths = {"/d"};
  const auto answer = ask([&](const wal::Sink& out) { return wal::summarise(log.env, paths, {}, {.json = true}, {}, out); });
  std::map<std::string, std::vector<Json>> by;
  for (const Json& line : lines(answer.text))
    if (line.contains("summary")) by[line["summary"].get<std::string>()].push_back(line);
  CHECK(by["kind"].front()["kind"] == "put");
  CHECK(by["kind"].front()["count"] == 5);
  std::uint64_t along = 0;
  for (const auto& n : by["kind"].front()["counts-along-index"]) along += n.get<std::uint64_t>();
  CHECK(along == 5);
  CHECK(by["biggest-request"].front()["index"] == 5);
  CHECK(by["biggest-request"].front()["key"] == "app/b");
  CHECK(by["hot-prefix"].front()["prefix"] == "app/");
  REQUIRE(by["leader-change"].size() == 2);
  CHECK(by["leader-change"][1]["index"] == 9);
  CHECK(by["leader-change"][1]["term"] == 4);
  CHECK(by["conf-change"].size() == 1);
  CHECK(by["conf-change"].front()["request"]["type"] == "ConfChangeAddNode");
  CHECK(by["user"].size() == 2);
  const auto text = ask([&](const wal::Sink& out) { return wal::summarise(log.env, paths, {}, {}, {}, out); }).text;
  CHECK(text.find("hottest prefixes") != std::string::npos);
}

TEST_CASE("diff: where two logs part, and whether both had committed it") {
  Log log;
  fill(log);
  const std::string first = log.env.contents(kDir + "/0000000000000000-0000000000000000.wal");
  const auto compare = [&](const std::function<void(wal::Wal&)>& write) {
    REQUIRE(log.env.remove_tree("/e"));
    REQUIRE(log.env.make_directories("/e"));
    auto other = wal::Wal::create(log.env, "/e/wal", {12, 22}).value();
    write(*other);
    REQUIRE(other->close());
    return ask([&](const wal::Sink& out) { return wal::diff(log.env, "/d", "/e", {.json = true}, {}, out); });
  };
  // The same entries, as far as they go.
  const auto same = [](wal::Wal& other, raft::Index upto) {
    Log source;
    fill(source);
    const auto read = wal::read_all(source.env, kDir, {}).value();
    for (const raft::Entry& entry : read.entries)
      if (entry.index <= upto) REQUIRE(other.save({entry.term, 12, entry.index}, std::span(&entry, 1)));
  };
  auto answer = compare([&](wal::Wal& other) { same(other, 10); });
  CHECK(answer.ending == Ending::kIntact);
  CHECK(answer.text.find("entries 1 to 10 are the same") != std::string::npos);
  CHECK(answer.text.find("a alone goes on, with entries 11 to 13") != std::string::npos);

  answer = compare([&](wal::Wal& other) {
    same(other, 8);
    const raft::Entry entry = put(9, 3, "stray", "x");
    REQUIRE(other.save({3, 12, 8}, std::span(&entry, 1)));
  });
  CHECK(answer.ending == Ending::kParts);
  CHECK(answer.text.find("they part at index 9") != std::string::npos);
  CHECK(answer.text.find("not committed in both") != std::string::npos);
  CHECK(answer.text.find("stray") != std::string::npos);

  answer = compare([&](wal::Wal& other) {
    same(other, 8);
    const raft::Entry entry = put(9, 3, "stray", "x");
    REQUIRE(other.save({3, 12, 9}, std::span(&entry, 1)));
  });
  CHECK(answer.text.find("that must never be") != std::string::npos);
  CHECK(log.env.contents(kDir + "/0000000000000000-0000000000000000.wal") == first);
}

TEST_CASE("verify: contradictions that no start would notice") {
  const auto verdict = [](const std::function<void(Log&)>& write) {
    Log log;
    write(log);
    log.wal.reset();
    const std::vector<std::string> paths = {"/d"};
    return ask([&](const wal::Sink& out) { return wal::verify(log.env, paths, {}, {}, out); });
  };
  const auto good = verdict([](Log& log) { fill(log); });
  CHECK(good.ending == Ending::kIntact);
  CHECK(good.text.find("entries     1 to 13, terms 1 to 4") != std::string::npos);
  CHECK(good.text.find("member b of cluster 16") != std::string::npos);
  auto bad = verdict([](Log& log) {
    log.add(put(1, 5, "a", "1"));
    log.add(put(2, 4, "b", "1"));
  });
  CHECK(bad.ending == Ending::kContradiction);
  CHECK(bad.text.find("the term goes back from 5 to 4 at entry 2") != std::string::npos);
  bad = verdict([](Log& log) {
    log.add(put(1, 1, "a", "1"));
    log.add(put(2, 1, "b", "1"));
    log.add(put(2, 2, "c", "1"));
  });
  CHECK(bad.ending == Ending::kContradiction);
  CHECK(bad.text.find("entry 2 is written over") != std::string::npos);
  bad = verdict([](Log& log) {
    REQUIRE(log.wal->save({3, 1, 0}, {}));
    REQUIRE(log.wal->save({3, 2, 0}, {}));
  });
  CHECK(bad.ending == Ending::kContradiction);
  CHECK(bad.text.find("two votes in term 3") != std::string::npos);
}

TEST_CASE("follow: what is appended is shown, into the next segment too, until nobody waits") {
  wal::Options small;
  small.segment_size = 2000;
  Log log(small);
  fill(log);
  DumpOptions options;
  options.style.json = true;
  options.follow = true;
  options.last = 1;
  options.filter.types = {"entry"};
  raft::Index next = 14;
  int waits = 0;
  wal::DumpHooks hooks;
  hooks.wait = [&] {
    if (++waits > 40) return false;
    if (waits % 2 == 0) return true;  // nothing new
    for (int i = 0; i < 3; ++i) {
      log.add(put(next, 4, "followed", std::string(100, 'f')));
      ++next;
    }
    return true;
  };
  const std::string text = dump(log.env, options, hooks).text;
  REQUIRE(log.env.list(kDir).value().size() > 3);
  const auto found = lines(text);
  REQUIRE(found.size() == next - 13);
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i]["payload"]["index"] == 13 + i);
}

TEST_CASE("dump: a tail that is being written is looked at again") {
  Log log;
  fill(log);
  log.wal.reset();
  const std::string path = kDir + "/0000000000000000-0000000000000000.wal";
  const std::string whole = log.env.contents(path);
  std::string torn = whole;
  std::fill(torn.begin() + static_cast<std::ptrdiff_t>(torn.rfind("binary") - 20), torn.end(), '\0');
  log.env.plant(path, torn);
  CHECK(dump(log.env, {}).ending != Ending::kIntact);
  wal::DumpHooks hooks;
  int settled = 0;
  hooks.settle = [&](const std::string& asked) {
    CHECK(asked == path);
    if (++settled == 2) log.env.plant(path, whole);
    return true;
  };
  CHECK(dump(log.env, {}, hooks).ending == Ending::kIntact);
  CHECK(settled == 2);
}

TEST_CASE("questions: nothing is written, locked or synced, whatever is asked") {
  Log log;
  fill(log);
  log.wal.reset();
  log.env.on_call = [](FaultEnv::Call call, const std::string& path) -> std::optional<std::errc> {
    CAPTURE(path);
    CHECK((call == FaultEnv::Call::kOpen || call == FaultEnv::Call::kRead));
    return {};
  };
  const std::uint64_t calls = log.env.calls();
  const std::vector<std::string> paths = {"/d"};
  const auto nowhere = [](base::BytesView) { return true; };
  CHECK(wal::dump(log.env, paths, {}, {}, nowhere));
  CHECK(wal::verify(log.env, paths, {}, {}, nowhere));
  CHECK(wal::summarise(log.env, paths, {}, {}, {}, nowhere));
  CHECK(wal::history(log.env, paths, "app/a", {}, {}, nowhere));
  CHECK(wal::diff(log.env, "/d", "/d", {}, {}, nowhere));
  CHECK(wal::minimal_version(log.env, kDir, 0).value() == wal::EtcdRelease{3, 0});
  CHECK(log.env.calls() > calls);
  log.env.on_call = nullptr;
}

TEST_CASE("minimal version: what is in the log above an index decides") {
  const auto of = [](const std::function<void(etcdserverpb::InternalRaftRequest&)>& make, std::uint64_t behind = 0) {
    Log log;
    log.add(request(1, 1, make));
    log.wal.reset();
    return wal::minimal_version(log.env, kDir, behind).value();
  };
  using wal::EtcdRelease;
  CHECK(of([](auto& r) { r.mutable_put()->set_key("k"); }) == EtcdRelease{3, 0});
  CHECK(of([](auto& r) { r.mutable_put()->set_prev_kv(true); }) == EtcdRelease{3, 1});
  CHECK(of([](auto& r) { r.mutable_lease_checkpoint(); }) == EtcdRelease{3, 4});
  CHECK(of([](auto& r) { r.mutable_auth_user_add()->mutable_options(); }) == EtcdRelease{3, 4});
  CHECK(of([](auto& r) { r.mutable_auth_user_add()->set_hashedpassword("x"); }) == EtcdRelease{3, 5});
  CHECK(of([](auto& r) { r.mutable_cluster_version_set()->set_ver("3.6.0"); }) == EtcdRelease{3, 5});
  CHECK(of([](auto& r) { r.mutable_downgrade_info_set(); }) == EtcdRelease{3, 5});
  CHECK(of([](auto& r) { r.mutable_downgrade_version_test()->set_ver("9.9.0"); }) == EtcdRelease{9, 9});
  CHECK(of([](auto& r) { r.mutable_txn()->add_success()->mutable_request_txn(); }) == EtcdRelease{3, 3});
  CHECK(of([](auto& r) { r.mutable_downgrade_info_set(); }, 1) == EtcdRelease{3, 0});
}
