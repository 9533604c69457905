#include <cstring>

#include "mvccdump_testing.h"

namespace etcdpp::mvccdump {

TEST_CASE("mvccdump: generations of keys, with their lives") {
  Member member;
  member.put(2, "foo", 2, 1, "a");
  member.put(3, "foo", 2, 2, "b");
  member.tombstone(4, "foo");
  member.put(5, "foo", 5, 1, "c");
  member.put(6, "b\x1b[2J", 6, 1, "\xff\xfe");
  member.put_row(Bucket::kMeta, "consistent_index", std::string("\0\0\0\0\0\0\0\x9", 8));
  member.commit();
  const std::string path = member.folder.path();
  CHECK(run(keys_command, at(path), Format::kTable).text ==
        "KEY       GENERATION  LIVES  CREATED  MODIFIED  VERSION  REVISIONS\n"
        "b\\x1b[2J  1           6-     6        6.0       1        6.0\n"
        "foo       1           2-4    2        4.0       3        2.0 3.0 4.0t\n"
        "foo       2           5-     5        5.0       1        5.0\n");
  const auto keys = run(keys_command, at(path)).lines();
  CHECK(keys[0]["key"] == "b\x1b[2J");
  CHECK(keys[1]["modified"] == "5.0");
  CHECK(keys[1]["generations"][0] == nlohmann::json::parse(R"({"created":2,"version":3,"modified":"4.0","from":2,"to":4,"ended":true,"revisions":["2.0","3.0","4.0"]})"));
  CHECK(keys[1]["generations"][1]["ended"] == false);

  Options options = at(path);
  options.key = "foo";
  CHECK(run(history_command, options, Format::kTable).text ==
        "REVISION  EVENT     GENERATION  CREATE REVISION  VERSION  LEASE  VALUE\n"
        "2.0       created   1           2                1        0      a\n"
        "3.0       modified  1           2                2        0      b\n"
        "4.0       deleted   1           -                -        -      -\n"
        "5.0       created   2           5                1        0      c\n");
  options.revision = 3;
  CHECK(run(get_command, options).lines()[0]["value"] == "b");
  options.revision = 4;
  CHECK(run(get_command, options).code() == Exit::kNo);
  options.revision = 7;
  CHECK_FALSE(run(get_command, options).exit.has_value());
  options.revision = 0;
  options.raw = true;
  CHECK(run(get_command, options).text == "c");
  options.key = "b\x1b[2J";
  options.raw = false;
  CHECK(run(get_command, options).lines()[0]["value_hex"] == "fffe");
  options.key = "absent";
  CHECK(run(history_command, options).code() == Exit::kNo);

  options = at(path);
  options.from = 3;
  options.to = 5;
  options.only_key = "foo";
  CHECK(run(revisions_command, options, Format::kTable).text ==
        "REVISION  EVENT   KEY  CREATE REVISION  MOD REVISION  VERSION  LEASE  VALUE\n"
        "3.0       put     foo  2                3             2        0      b\n"
        "4.0       delete  foo  -                -             -        -      -\n"
        "5.0       put     foo  5                5             1        0      c\n");
  options.prefix = "b";
  options.revision = 6;
  CHECK(run(ls_command, options).lines().size() == 1);
  CHECK(run(verify_command, at(path)).code() == Exit::kFine);
}

TEST_CASE("mvccdump: stats add up") {
  Member member;
  std::int64_t main = 1;
  for (int version = 1; version <= 3; ++version)
    for (int i = 0; i < 40; ++i) {
      const std::string key = "/registry/" + std::string(i % 2 ? "pods" : "nodes") + "/" + std::to_string(i);
      ++main;
      member.put(main, key, i + 2, version, std::string(static_cast<std::size_t>(i == 7 ? 5000 : 50), 'v'));
    }
  member.tombstone(++main, "/registry/pods/1");
  member.commit();
  const auto stats = run(stats_command, at(member.folder.path())).lines()[0];
  CHECK(stats["revision"] == main);
  CHECK(stats["keys"] == 39);
  CHECK(stats["deleted_keys"] == 1);
  CHECK(stats["revisions"] == 121);
  CHECK(stats["garbage_revisions"] == 121 - 39);
  CHECK(stats["bytes"].get<int>() == stats["live_bytes"].get<int>() + stats["garbage_bytes"].get<int>());
  CHECK(stats["prefixes"].size() == 2);
  CHECK(stats["prefixes"][0]["prefix"] == "/registry/pods/");
  CHECK(stats["prefixes"][0]["bytes"].get<int>() + stats["prefixes"][1]["bytes"].get<int>() == stats["bytes"].get<int>());
  CHECK(stats["biggest_values"][0]["key"] == "/registry/pods/7");
  CHECK(stats["biggest_values"][0]["value_bytes"] == 5000);
  CHECK(stats["most_revisions"][0]["key"] == "/registry/pods/1");
  CHECK(stats["most_revisions"][0]["revisions"] == 4);
  CHECK(run(stats_command, at(member.folder.path()), Format::kTable).text.find("Biggest values") != std::string::npos);
}

TEST_CASE("mvccdump: what a member would never write is found by verify") {
  const auto problem_of = [](const std::function<void(Member&)>& make) {
    Member member;
    member.put_row(Bucket::kMeta, "consistent_index", std::string("\0\0\0\0\0\0\0\x9", 8));
    member.put(2, "k", 2, 1, "v");
    make(member);
    member.commit();
    const Answer answer = run(verify_command, at(member.folder.path()));
    const auto lines = answer.lines();
    CHECK((answer.code() == Exit::kFine) == (lines.size() == 1));
    return lines.size() == 1 ? std::string() : lines[0]["problem"].get<std::string>();
  };
  CHECK(problem_of([](Member&) {}).empty());
  CHECK(problem_of([](Member& m) { m.put(3, "k", 2, 3, "v"); }).find("version") != std::string::npos);
  CHECK(problem_of([](Member& m) { m.put(3, "k", 3, 2, "v"); }).find("create_revision") != std::string::npos);
  CHECK(problem_of([](Member& m) { m.put(3, "other", 2, 2, "v"); }).find("did not exist") != std::string::npos);
  CHECK(problem_of([](Member& m) { m.tombstone(3, "absent"); }).find("does not exist") != std::string::npos);
  CHECK(problem_of([](Member& m) { m.tombstone(3, "k"); m.tombstone(4, "k"); }).find("deleted already") != std::string::npos);
  CHECK(problem_of([](Member& m) { m.put_row(Bucket::kKey, mvcc::RowKeyBytes({3, 0}, false), "\x0a\xff"); }).find("no KeyValue") != std::string::npos);
  CHECK(problem_of([](Member& m) { m.put(3, "l", 3, 1, "v", 77); }).find("lease 4d") != std::string::npos);
  CHECK(problem_of([](Member& m) { m.put_row(Bucket::kLease, "12345678", "x"); }).find("no lease") != std::string::npos);
  CHECK(problem_of([](Member& m) { m.put_row(Bucket::kMeta, "term", "1"); }).find("8 bytes") != std::string::npos);
  CHECK(problem_of([](Member& m) { m.put_row(Bucket::kMeta, "confState", "{"); }).find("not JSON") != std::string::npos);
  CHECK(problem_of([](Member& m) { m.put_row(Bucket::kMembers, "1", R"({"id":2})"); }).find("names itself 2") != std::string::npos);
  CHECK(problem_of([](Member& m) { m.put_row(Bucket::kAuthUsers, "bob", "\x0a\x03" "eve"); }).find("eve") != std::string::npos);
}

TEST_CASE("mvccdump: paths that hold no database say so") {
  Member member;
  base::Env& env = base::posix_env();
  CHECK(find_database(env, member.folder.path()).value() == member.file());
  CHECK(find_database(env, member.folder / "member").value() == member.file());
  CHECK(find_database(env, member.file()).value() == member.file());
  CHECK_FALSE(find_database(env, member.folder / "absent").has_value());
  std::filesystem::create_directories(member.folder / "other/member/snap");
  CHECK_FALSE(find_database(env, member.folder / "other").has_value());
  spill_bytes(member.folder / "other/member/snap/db", "x");
  CHECK(find_database(env, member.folder / "other").value() == member.folder / "other/member/snap/db");
  for (const auto& command : {meta_command, verify_command, salvage_command, buckets_command}) {
    Options options = at(member.folder / "other");
    options.other = member.folder / "out";
    CHECK(run(command, options).code() == Exit::kCannot);
    CHECK_FALSE(std::filesystem::exists(options.other));
  }
}

TEST_CASE("mvccdump: output that nobody reads ends quietly, and a terminal gets nothing to obey") {
  int calls = 0;
  Output out([&](base::BytesView) { return ++calls < 2; });
  const std::string line(1000, 'x');
  for (int i = 0; i < 1000; ++i) out.write(line);
  CHECK(out.closed());
  CHECK(calls == 2);

  std::string text;
  const auto print = [&](Format format, const Record& record) {
    text.clear();
    Output gather([&](base::BytesView bytes) {
      text += bytes;
      return true;
    });
    Printer printer(gather, format);
    printer.print(record);
    printer.end_table();
    gather.flush();
    return text;
  };
  const std::string evil = "\x1b]0;x\x07\r\n\x7f\xc2\x9b" "2J\"\\";
  for (const char c : print(Format::kTable, {{"key", Data{evil}}, {"list", DataList{{evil}}}, {"text", Text{evil}}})) CHECK((c == '\n' || (c >= ' ' && c <= '~')));
  const std::string json = print(Format::kJson, {{"key", Data{evil}}, {"list", DataList{{evil}}}, {"text", Text{evil}}});
  for (const char c : json) CHECK((c == '\n' || (c >= ' ' && c <= '~')));
  CHECK(nlohmann::json::parse(json)["key"] == "\x1b]0;x\x07\r\n\x7f\xc2\x9b" "2J\"\\");
  CHECK(nlohmann::json::parse(print(Format::kJson, {{"key", Data{"gr\xc3\xbc\xc3\x9f"}}}))["key"] == "gr\xc3\xbc\xc3\x9f");
  CHECK(print(Format::kJson, {{"key", Data{"\xc3"}}}) == "{\"key_hex\":\"c3\"}\n");
  CHECK(print(Format::kJson, {{"a", None{}}, {"b", true}}) == "{\"b\":true}\n");
  for (const char* bad : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"}) CHECK_FALSE(is_utf8(bad));
  CHECK(is_utf8("\xf0\x9f\x98\x80 \xe2\x82\xac"));
}

TEST_CASE("mvccdump: a bar is shown when work takes long, and goes") {
  base::ManualClock clock;
  std::string shown;
  {
    Progress progress(clock, [&](base::BytesView bytes) { shown += bytes; });
    progress.begin("reading", 100 << 20);
    for (int i = 0; i < 4; ++i) progress.add(2 << 20);
    CHECK(shown.empty());
    clock.advance(std::chrono::seconds(1));
    progress.add(42 << 20);
    CHECK(shown.find("reading [###############") != std::string::npos);
    CHECK(shown.find(" 50 % ") != std::string::npos);
  }
  CHECK(shown.ends_with("\r\x1b[K"));
}

}  // namespace etcdpp::mvccdump
