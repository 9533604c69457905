#include <doctest/doctest.h>

#include "transcript.h"
#include "verdict.h"

namespace etcdpp::raft::transcript {
namespace {

TEST_CASE("transcript: blocks, comments, input, and both forms of output") {
  const auto blocks = parse(
      "# why\n"
      "first 1 2\n----\nout\n# still out\n\n"
      "\n"
      "subtest part\n\n"
      "second key=(a, b ,c) flag k=v=w \\\n  more=()\n"
      "input one\n\ninput two\n"
      "----\n----\nx\n\n----\ny\n----\n----\n\n"
      "subtest end\n\n"
      "last\n----\n");
  REQUIRE(blocks.size() == 3);
  CHECK(blocks[0].line == 2);
  CHECK(blocks[0].command == "first");
  CHECK(blocks[0].arguments[1].key == "2");
  CHECK(blocks[0].arguments[1].bare);
  CHECK(blocks[0].expected == "out\n# still out\n");
  CHECK(blocks[1].find("key")->values == std::vector<std::string>{"a", "b", "c"});
  CHECK(blocks[1].find("flag")->bare);
  CHECK(blocks[1].find("k")->values == std::vector<std::string>{"v=w"});
  CHECK_FALSE(blocks[1].find("more")->bare);
  CHECK(blocks[1].find("more")->values.empty());
  CHECK(blocks[1].input == "input one\n\ninput two\n");
  CHECK(blocks[1].expected == "x\n\n----\ny\n");
  CHECK(blocks[2].expected.empty());
}

TEST_CASE("transcript: a wrong line is a difference, a log line is none when logs are left out") {
  const auto blocks = parse("a\n----\nDEBUG old words\nline\n  INFO indented\n\nb\n----\nok\n\n");
  const Script same = [](const Block& block) -> std::string {
    return block.command == "a" ? "DEBUG old words\nline\n  INFO indented\n" : "ok";
  };
  const Script other_logs = [](const Block& block) -> std::string {
    return block.command == "a" ? "WARN new words\nline" : "  ERROR nothing but a log line\n";
  };
  const Script other_line = [](const Block&) -> std::string { return "another line"; };
  CHECK(differences("f", blocks, same, false).empty());
  CHECK(differences("f", blocks, other_logs, true).empty());
  CHECK(differences("f", blocks, other_logs, false).find("f:1: a\n  - DEBUG old words\n  + WARN new words\n    line\n  -   INFO indented\n") == 0);
  CHECK(differences("f", blocks, other_line, true).find("  - line\n  + another line\n") != std::string::npos);
  CHECK_FALSE(differences("f", {}, same, false).empty());
}

TEST_CASE("transcript: conf changes in words") {
  std::vector<ConfChangeSingle> changes;
  std::string error;
  REQUIRE(parse_changes(" v1 l2 r18446744073709551615 u0\n", changes, error));
  CHECK(changes.size() == 4);
  CHECK(changes[1] == ConfChangeSingle{ConfChangeType::kAddLearnerNode, 2});
  for (const auto& [text, why] : {std::pair{"v1  v2", "unknown token "},
                                  {"x1", "unknown input: x1"},
                                  {"r2b", "strconv.ParseUint: parsing \"2b\": invalid syntax"},
                                  {"r18446744073709551616", "strconv.ParseUint: parsing \"18446744073709551616\": value out of range"}}) {
    CHECK_FALSE(parse_changes(text, changes, error));
    CHECK(error == why);
  }
}

}  // namespace
}  // namespace etcdpp::raft::transcript
