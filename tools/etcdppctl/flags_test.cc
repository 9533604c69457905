#include "flags.h"

#include <ostream>

#include <doctest/doctest.h>

using namespace etcdpp::ctl;

namespace {

Flags make() {
  using enum FlagKind;
  return Flags({{"prefix", 0, kBool, "false", ""},
                {"interactive", 'i', kBool, "false", ""},
                {"rev", 0, kInt, "0", ""},
                {"write-out", 'w', kText, "simple", ""},
                {"endpoints", 0, kList, "127.0.0.1:2379", ""},
                {"timeout", 0, kDuration, "5s", ""}});
}

std::string complaint(std::vector<std::string> arguments) {
  Flags flags = make();
  auto parsed = flags.parse(arguments);
  return parsed ? "none" : parsed.error();
}

}  // namespace

TEST_CASE("flags: every spelling of a value is read, in any order with the arguments") {
  for (std::vector<std::string> arguments : {std::vector<std::string>{"key", "--rev", "7", "-w", "json"},
                                             {"--rev=7", "key", "-wjson"},
                                             {"-w=json", "--rev=0x7", "key"},
                                             {"--prefix=false", "-iw", "json", "--rev", "7", "key"}}) {
    Flags flags = make();
    REQUIRE(flags.parse(arguments));
    CHECK(flags.integer("rev") == 7);
    CHECK(flags.text("write-out") == "json");
    CHECK(flags.arguments() == std::vector<std::string>{"key"});
    CHECK_FALSE(flags.boolean("prefix"));
    CHECK(flags.changed("rev"));
    CHECK_FALSE(flags.changed("timeout"));
  }
}

TEST_CASE("flags: after two dashes nothing is a flag, and where they stood is known") {
  Flags flags = make();
  REQUIRE(flags.parse(std::vector<std::string>{"a", "--", "--prefix", "-x"}));
  CHECK(flags.arguments() == std::vector<std::string>{"a", "--prefix", "-x"});
  CHECK(flags.dash_at() == 1);
  CHECK_FALSE(flags.boolean("prefix"));
}

TEST_CASE("flags: a list replaces its default once, then grows") {
  Flags flags = make();
  CHECK(flags.list("endpoints").size() == 1);
  REQUIRE(flags.parse(std::vector<std::string>{"--endpoints", "a:1,b:2", "--endpoints=c:3"}));
  CHECK(flags.list("endpoints") == std::vector<std::string>{"a:1", "b:2", "c:3"});
}

TEST_CASE("flags: complaints are the known texts") {
  CHECK(complaint({"--nosuch"}) == "unknown flag: --nosuch");
  CHECK(complaint({"-x"}) == "unknown shorthand flag: 'x' in -x");
  CHECK(complaint({"-ix"}) == "unknown shorthand flag: 'x' in -ix");
  CHECK(complaint({"--rev"}) == "flag needs an argument: --rev");
  CHECK(complaint({"-w"}) == "flag needs an argument: 'w' in -w");
  CHECK(complaint({"--rev", "x"}) ==
        "invalid argument \"x\" for \"--rev\" flag: strconv.ParseInt: parsing \"x\": invalid syntax");
  CHECK(complaint({"-i=maybe"}) ==
        "invalid argument \"maybe\" for \"-i, --interactive\" flag: strconv.ParseBool: parsing \"maybe\": invalid "
        "syntax");
  CHECK(complaint({"--=x"}) == "bad flag syntax: --=x");
  CHECK(complaint({"-"}) == "none");
}

TEST_CASE("flags: which arguments take the next one is known before parsing") {
  const Flags flags = make();
  CHECK(flags.takes_next("--rev"));
  CHECK(flags.takes_next("-w"));
  CHECK(flags.takes_next("-iw"));
  CHECK_FALSE(flags.takes_next("--rev=1"));
  CHECK_FALSE(flags.takes_next("--prefix"));
  CHECK_FALSE(flags.takes_next("-wjson"));
  CHECK_FALSE(flags.takes_next("--nosuch"));
  CHECK_FALSE(flags.takes_next("key"));
}
