// Command lines that end before a server is asked.

#include "session.h"

#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <string_view>

#include <doctest/doctest.h>

#include "completion.h"

using namespace etcdpp::ctl;

namespace {

struct Ran {
  int code;
  std::string out;
  std::string err;
};

/// Takes away the settings of whoever runs the tests.
void clear_environment() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry; ++entry)
    if (std::string_view(*entry).starts_with("ETCDCTL_"))
      names.emplace_back(*entry, std::string_view(*entry).find('='));
  for (const auto& name : names) unsetenv(name.c_str());
}

Ran ran(std::vector<std::string> arguments, const std::string& input = "") {
  clear_environment();
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  const int code = run("etcdctl", arguments, {.in = in, .out = out, .err = err});
  return {code, out.str(), err.str()};
}

}  // namespace

TEST_CASE("command line: help, groups and beginnings of names") {
  CHECK(ran({}).code == 0);
  CHECK(ran({}).out.find("Key-value commands") != std::string::npos);
  CHECK(ran({"lease"}).out == ran({"lease", "--help"}).out);
  CHECK(ran({"lease", "nosuch"}).code == 0);
  CHECK(ran({"put", "--help"}).out.find("$ etcdppctl put greeting hello") != std::string::npos);
  CHECK(ran({"vers"}).out.starts_with("etcdctl version: 3.7.1\nAPI version: 3.7\n"));
  CHECK(ran({"help", "lease", "grant"}).out == ran({"le", "gr", "-h"}).out);
}

TEST_CASE("command line: unknown commands and flags") {
  const Ran unknown = ran({"nosuch"});
  CHECK(unknown.code == 1);
  CHECK(unknown.err == "Error: unknown command \"nosuch\" for \"etcdctl\"\nRun 'etcdctl --help' for usage.\n");
  CHECK(ran({"wotch"}).err.find("Did you mean this?\n\twatch\n") != std::string::npos);
  const Ran flag = ran({"get", "--nosuch"});
  CHECK(flag.code == 1);
  CHECK(flag.err.starts_with(
      "Error: unknown flag: --nosuch\nUsage:\n  etcdctl get [options] <key> [range_end] [flags]\n"));
}

TEST_CASE("command line: what is refused before a server is asked") {
  struct Case {
    std::vector<std::string> arguments;
    int code;
    const char* err;
  };
  const std::vector<Case> cases{
      {{"get", "foo", "-w", "bogus"}, 4, "unsupported output format"},
      {{"get"}, 128, "get command needs one argument as key and an optional argument as range_end"},
      {{"get", "--prefix", "--from-key", "a"},
       128,
       "`--prefix` and `--from-key` cannot be set at the same time, choose one"},
      {{"get", "a", "b", "--prefix"},
       128,
       "too many arguments, only accept one argument when `--prefix` or `--from-key` is set"},
      {{"get", "a", "--keys-only", "--count-only"},
       128,
       "`--keys-only` and `--count-only` cannot be set at the same time, choose one"},
      {{"get", "a", "--count-only"}, 128, "--count-only is only for `--write-out=fields`"},
      {{"get", "a", "--print-value-only", "-w", "json"}, 128, "print-value-only is only for `--write-out=simple`"},
      {{"get", "a", "--order", "x"}, 4, "bad sort order x"},
      {{"get", "a", "--sort-by", "foo"}, 4, "bad sort target foo"},
      {{"get", "a", "--consistency", "z"}, 4, "unknown consistency flag \"z\""},
      {{"get", "a", "--min-mod-rev", "5", "--max-mod-rev", "3"}, 4, "getMinModRev(=5) > getMaxModRev(=3)"},
      {{"put"}, 128, "put command needs 1 argument and input from stdin or 2 arguments"},
      {{"put", "a", "b", "--ignore-value"}, 128, "put command needs only 1 argument when 'ignore-value' is set"},
      {{"put", "a", "b", "--lease", "zz"},
       128,
       "bad lease ID (strconv.ParseInt: parsing \"zz\": invalid syntax), expecting ID in Hex"},
      {{"del"}, 128, "del command needs one argument as key and an optional argument as range_end"},
      {{"compaction"}, 128, "compaction command needs 1 argument"},
      {{"compaction", "x"}, 1, "strconv.ParseInt: parsing \"x\": invalid syntax"},
      {{"txn", "foo"}, 128, "txn command does not accept argument"},
      {{"txn"}, 3, "EOF"},
      {{"lease", "grant"}, 128, "lease grant command needs TTL argument"},
      {{"lease", "grant", "x"}, 128, "bad TTL (strconv.ParseInt: parsing \"x\": invalid syntax)"},
      {{"lease", "revoke"}, 128, "lease revoke command needs 1 argument"},
      {{"lease", "revoke", "zz"},
       128,
       "bad lease ID arg (strconv.ParseInt: parsing \"zz\": invalid syntax), expecting ID in Hex"},
      {{"lease", "timetolive"}, 128, "lease timetolive command needs lease ID as argument"},
      {{"lease", "keep-alive"}, 128, "lease keep-alive command needs lease ID as argument"},
      {{"watch"}, 128, "bad number of arguments"},
      {{"watch", "a", "--"}, 128, "bad number of arguments (found separator --, but no commands)"},
      {{"watch", "a", "b", "--prefix"}, 128, "`range_end` and `--prefix` are mutually exclusive"},
      {{"watch", "-i"}, 3, "error reading watch request line: EOF"},
      {{"alarm", "disarm", "x"}, 128, "alarm disarm command accepts no arguments"},
      {{"get", "a", "--cert", ""}, 128, "empty string is passed to --cert option"},
      {{"get", "a", "--cert", "c"}, 128, "KeyFile and CertFile must both be present[key: , cert: c]"},
      {{"get", "a", "--endpoints", "nowhere"}, 128, "bad endpoint: \"nowhere\" is not host:port"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.err);
    const Ran result = ran(c.arguments);
    CHECK(result.code == c.code);
    CHECK(result.err == "Error: " + std::string(c.err) + "\n");
    CHECK(result.out == "");
  }
}

TEST_CASE("command line: an endpoint that is down is a deadline, not a hang") {
  const Ran result = ran({"get", "a", "--endpoints", "127.0.0.1:1", "--command-timeout", "300ms"});
  CHECK(result.code == 1);
  CHECK(result.err.ends_with("Error: context deadline exceeded\n"));
}

TEST_CASE("command line: the environment sets flags, and is in conflict with them") {
  clear_environment();
  setenv("ETCDCTL_WRITE_OUT", "bogus", 1);
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  CHECK(run("etcdctl", {"get"}, {.in = in, .out = out, .err = err}) == 4);
  CHECK(err.str() == "Error: unsupported output format\n");
  CHECK(run("etcdctl", {"get", "-w", "json"}, {.in = in, .out = out, .err = err}) == 1);
  CHECK(err.str().find("\"level\":\"fatal\"") != std::string::npos);
  CHECK(err.str().find("\"environment-variable\":\"ETCDCTL_WRITE_OUT\"") != std::string::npos);
}

TEST_CASE("completion: a script for each shell names commands and flags") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = completion_script(shell, "etcdppctl");
    CAPTURE(shell);
    CHECK(script.find("keep-alive") != std::string::npos);
    CHECK(script.find("prev-kv") != std::string::npos);
    CHECK(script.find("endpoints") != std::string::npos);
  }
  CHECK(completion_script("tcsh", "etcdppctl").empty());
}
